import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { debian, layersDir } from '../../rootfs.ts';
import { lab, overlays, shell, start, tell } from './lab.ts';

// Layers of our own beside that of Debian.
let own: string;
beforeAll(() => {
  own = mkdtempSync(join(layersDir, 'roots-'));
});
afterAll(() => rmSync(own, { recursive: true }));

const layer = (name: string) => {
  const path = join(own, name);
  mkdirSync(path, { recursive: true });
  return path;
};
const above = (...layers: string[]) => ({ ...debian, layers: [...debian.layers, ...layers] });

test.each(overlays)('200 layers are one root, the last on top (%s)', async (overlay) => {
  const layers = Array.from({ length: 200 }, (_, i) => {
    const path = layer(`many-${overlay}-${i}`);
    mkdirSync(join(path, 'opt'));
    writeFileSync(join(path, 'opt/top'), `${i}\n`);
    writeFileSync(join(path, `opt/of-${i}`), '');
    return path;
  });
  await using place = lab({ overlay });
  const told = await tell(start(place.open(), above(...layers)), shell('cat /opt/top; ls /opt/of-* | wc -l'));
  expect(told.output).toBe('199\n200\n');
});

test('a root without a shell runs what it has, and says what it lacks', async () => {
  await using place = lab();
  const box = start(place.open(), { ...debian, layers: [layer('empty')] });
  expect(await tell(box, shell('true'))).toEqual({
    exit: { reason: 'exit', code: 127 },
    output: 'cofferdam: /bin/sh: not found\n',
  });
});

test('containers of one image have roots of their own', async () => {
  await using place = lab();
  const sandbox = place.open();
  const [one, two] = [start(sandbox), start(sandbox)];
  await tell(one, shell('echo one >/opt/note; rm /etc/debian_version'));
  expect((await tell(two, shell('cat /opt/note /etc/debian_version'))).output).toMatch(
    /opt\/note: No such[^]*\n\d+\.\d+/,
  );
});

test('layers are never written, whatever a build does as root', async () => {
  const path = layer('canary');
  mkdirSync(join(path, 'opt'));
  writeFileSync(join(path, 'opt/canary'), 'alive');
  await using place = lab();
  await tell(
    start(place.open(), above(path)),
    shell('echo dead >/opt/canary; rm -rf /opt /usr/share/doc; chmod 777 /etc/passwd'),
  );
  expect(readFileSync(join(path, 'opt/canary'), 'utf8')).toBe('alive');
  expect(lstatSync(join(debian.layers[0] ?? '', 'etc/passwd')).mode & 0o777).toBe(0o644);
});

test('a device node of an image cannot be opened', async () => {
  const path = layer('device');
  await using place = lab();
  await run({ file: 'mknod', args: ['-m', '666', join(path, 'zero'), 'c', '1', '5'] });
  const told = await tell(start(place.open(), above(path)), shell('ls -l /zero; head -c 1 /zero'));
  expect(told.output).toMatch(/1, 5[^]*Permission denied/);
});

describe('a hostile root', () => {
  const mounted = ['dev', 'proc', 'etc', 'sys', 'run', 'tmp', 'workspace'];
  const deeper = [
    'etc/hosts',
    'etc/resolv.conf',
    'etc/hostname',
    'run/.cofferdam',
    'run/.cofferdam/init',
    'dev/pts',
    'dev/null',
  ];

  const targets: [string, (canary: string) => string][] = [
    ['a directory of the host', (canary) => canary],
    ['a directory of the host by way of ..', (canary) => join('../../../../../../../../..', canary)],
    ['/proc/self/cwd', () => '/proc/self/cwd'],
    ['itself', () => '.'],
    ['nothing', () => '/no/such'],
  ];
  const cases = targets.flatMap(([name, target]) => [
    ...[...mounted, ...deeper].map((path) => [[path], name, target] as const),
    [mounted, name, target] as const,
  ]);

  test.each(cases)('with %j as symlinks to %s touches nothing', async (paths, _, target) => {
    await using place = lab();
    const canary = join(place.scratch, 'canary');
    mkdirSync(join(canary, 'pts'), { recursive: true, mode: 0o777 });
    writeFileSync(join(canary, 'init'), 'alive', { mode: 0o666 });
    const before = snapshot(canary);

    const root = layer(`hostile-${Math.random()}`);
    for (const path of paths) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      symlinkSync(target(canary), join(root, path));
    }
    const box = start(place.open(), above(root));
    const told = await tell(
      box,
      shell(
        'echo made >/workspace/made; cat /workspace/made; cat /etc/hosts; echo x >/dev/null; touch /tmp/made && [ ! -L /tmp ]',
      ),
    );
    expect(told.exit).toEqual({ reason: 'exit', code: 0 });
    expect(told.output).toMatch(/^made\n127\.0\.0\.1 localhost/);
    expect(snapshot(canary)).toEqual(before);
    for (const path of paths) expect(readlinkSync(join(root, path))).toBe(target(canary));
  });
});

/** Names, kinds, modes, owners and times of a directory. */
function snapshot(directory: string): unknown {
  return ['', ...readdirSync(directory, { recursive: true, encoding: 'utf8' })].map((path) => {
    const { mode, uid, gid, mtimeMs, ctimeMs } = lstatSync(join(directory, path));
    return { path, mode, uid, gid, mtimeMs, ctimeMs };
  });
}
