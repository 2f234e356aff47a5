import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { digest } from '../../../workers/caches/place.ts';
import { cupboard, filling, storageIn } from '../../workers/caches/cupboard.ts';
import { type Directory, temporaryDirectory } from '../../workers/directory.ts';
import { cofferdam, image, makeImage } from './cofferdam.ts';

let source: Directory;
beforeAll(makeImage, 300_000);
beforeEach(() => void (source = temporaryDirectory()));
afterEach(() => source[Symbol.dispose]());

interface Shown {
  readonly name: string;
  readonly files: number;
  readonly project: string;
}

async function listed(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Shown[]> {
  const { stdout } = await cofferdam(['cache', 'ls', '--json', ...args], { env });
  return JSON.parse(stdout.toString());
}

test('run keeps the caches of a directory, which can be listed and removed', async () => {
  source.write({
    lock: '1',
    '.cofferdam.yaml': `image: ${image}
caches: [{ name: npm, path: /root/.npm, key: lock }]
steps:
  - { name: look, commands: ['cat /root/.npm/dep || true'] }
  - { name: install, image: ${image}, commands: ['echo installed >/root/.npm/dep'] }
`,
  });
  const project = `local:${source.path}`;
  const first = (await cofferdam(['run', source.path])).stdout.toString();
  expect(first).toContain('[cofferdam: cache npm: nothing to restore]');
  expect(first).toMatch(/\[cofferdam: cache npm: saved 1 file, 10 B in \d+ ms\]/);
  const second = (await cofferdam(['run', source.path])).stdout.toString();
  expect(second).toMatch(/\[cofferdam: cache npm: restored 1 file, 10 B in \d+ ms \(exact\)\]/);
  expect(second).toContain('installed\n');
  expect(await listed([project])).toMatchObject([{ project, name: 'npm', files: 1 }]);
  expect((await cofferdam(['cache', 'ls', project])).stdout.toString()).toMatch(
    /^PROJECT .*\n.* npm .* 10 B /,
  );
  expect((await cofferdam(['cache', 'rm', project, 'pip'])).stdout.toString()).toBe('removed 0 snapshots\n');
  expect((await cofferdam(['cache', 'rm', project])).stdout.toString()).toBe('removed 1 snapshot\n');
  expect(await listed([project])).toEqual([]);
});

test('those in storage are another list', async () => {
  const store = join(source.path, 'store');
  const env = { COFFERDAM_STORE: `file:${store}`, COFFERDAM_DATA: join(source.path, 'data') };
  const { tiers } = cupboard(env.COFFERDAM_DATA, storageIn(store));
  for (const name of ['npm', 'pip']) {
    await tiers.save({ project: 'shop', name }, digest('k'), filling({ file: 'x' }));
  }
  await tiers.settled();
  const names = async (...args: readonly string[]) =>
    (await listed(args, env)).map(({ name }) => name).sort();
  expect([await names(), await names('--stored')]).toEqual([
    ['npm', 'pip'],
    ['npm', 'pip'],
  ]);
  await cofferdam(['cache', 'rm', 'shop', 'npm', '--stored'], { env });
  expect([await names(), await names('--stored')]).toEqual([['npm', 'pip'], ['pip']]);
  await cofferdam(['cache', 'prune', '--older-than', '1d'], { env });
  expect(await names()).toEqual(['npm', 'pip']);
  await cofferdam(['cache', 'prune', '--older-than', '0h'], { env });
  expect([await names(), await names('--stored')]).toEqual([[], ['pip']]);
});

test('a time that is none is refused', async () => {
  const { code, stderr } = await cofferdam(['cache', 'prune', '--older-than', 'yesterday']);
  expect([code, stderr]).toEqual([2, "cofferdam: 'yesterday' is no time; write for example 30d or 12h\n"]);
});
