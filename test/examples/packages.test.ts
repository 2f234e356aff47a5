import { readdir } from 'node:fs/promises';
import { machine } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { cofferdam, examples, scratch } from './example.ts';

/** Makes four images, which takes minutes. Only with COFFERDAM_TEST_SLOW=1. */
const slow = process.env['COFFERDAM_TEST_SLOW'] === '1';
const timeout = 900_000;

test.runIf(slow)(
  'a .deb, an .rpm, an npm tarball and an image come out for two suites, and are sound',
  {
    timeout,
  },
  async () => {
    await using out = await scratch();
    const said = async (file: string, ...args: readonly string[]) =>
      (await run({ file, args, cwd: out.path })).stdout.toString();

    await cofferdam('run', '--artifacts', out.path, join(examples, 'packages'));

    expect((await readdir(join(out.path, 'dist'))).sort()).toEqual(['bookworm', 'trixie']);
    const architecture = (await said('dpkg', '--print-architecture')).trim();
    for (const suite of ['bookworm', 'trixie']) {
      const dist = join(out.path, 'dist', suite);
      const made = ['example-tally-1.0.0.tgz', 'tally-image.tar', `tally_1.0.0_${architecture}.deb`];
      expect(await readdir(dist)).toEqual(expect.arrayContaining(['SHA256SUMS', ...made]));
      const sums = await said('sh', '-c', 'cd "$1" && sha256sum --check SHA256SUMS', 'sh', dist);
      for (const name of made) expect(sums).toContain(`${name}: OK\n`);

      const about = await said('dpkg-deb', '--info', join(dist, made[2] ?? ''));
      expect(about).toMatch(/^ Package: tally\n Version: 1\.0\.0\n/m);
      expect(about).toMatch(/^ Depends: libc6 /m);

      const image = await said(
        'skopeo',
        'inspect',
        '--config',
        `oci-archive:${join(dist, 'tally-image.tar')}`,
      );
      expect(JSON.parse(image)).toMatchObject({ architecture, config: { Entrypoint: ['/usr/bin/tally'] } });
      const name = `tally-of-${suite}`;
      await cofferdam('image', 'import', name, join(dist, 'tally-image.tar'));
      expect(await cofferdam('run', '--image', name, out.path, '--', '/usr/bin/tally', '--version')).toMatch(
        /^tally 1\.0\.0$/m,
      );
      await cofferdam('image', 'rm', name);
    }

    const inside = (image: string, script: string) =>
      cofferdam('run', '--image', image, out.path, '--', 'sh', '-euc', script);
    const rpm = await inside(
      'bootstrap:bookworm+build-essential/debhelper,rpm,umoci',
      'rpm -qip dist/*/*.rpm',
    );
    expect(rpm.match(/^Name *: tally$/gm)).toHaveLength(2);
    expect(rpm).toMatch(new RegExp(`^Architecture *: ${machine()}$`, 'm'));
    const install = 'npm install --offline ./dist/trixie/*.tgz';
    const use = `node -p 'require("@example/tally")(["b", "a", "b"]).join()'`;
    expect(await inside('bootstrap:bookworm/npm', `${install} && ${use}`)).toMatch(/^b,2,a,1$/m);
  },
);
