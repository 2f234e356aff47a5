import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { idRequirements } from '../../../runtime/host/ids.ts';
import { makeHost } from './fixture.ts';

const line = 'cofferdam:1879048192:268435456';

test.each([
  ['the line', `root:100000:65536\n${line}\n`, 'ok'],
  ['no file', undefined, 'missing'],
  ['other accounts, elsewhere', 'alice:100000:65536\nbob:2147483648:65536\n', 'missing'],
  ['an account that ends just before', 'alice:1878982656:65536\n', 'missing'],
])('%s', async (_, subuid, status) => {
  using host = makeHost(subuid === undefined ? {} : { '/etc/subuid': subuid });
  const finding = await idRequirements[0]?.probe(host);
  expect(finding).toMatchObject({ status });
  if (status === 'missing') expect(finding).toMatchObject({ remedy: { kind: 'command', needsRoot: true } });
});

test.each(['alice:1879048192:65536', 'alice:1:4294967294', 'alice:2147418112:65536'])(
  '%s has part of the range: left to the owner of the machine',
  async (rival) => {
    using host = makeHost({ '/etc/subuid': `root:1:1\n${rival}\n` });
    expect(await idRequirements[0]?.probe(host)).toMatchObject({
      status: 'missing',
      detail: `${rival} overlaps`,
      remedy: { kind: 'advice' },
    });
  },
);

test.each([
  ['', `${line}\n`],
  ['alice:1:2\n', `alice:1:2\n${line}\n`],
  ['alice:1:2', `alice:1:2\n${line}\n`],
])('eight set-ups at once add one line to %j', async (before, after) => {
  using host = makeHost({ '/etc/subuid': before });
  const finding = await idRequirements[0]?.probe(host);
  if (finding?.status !== 'missing' || finding.remedy.kind !== 'command') throw new Error('no command');
  const file = join(host.root, '/etc/subuid');
  const [program, ...args] = finding.remedy.args.map((word) => word.replaceAll('/etc/subuid', file));
  const runs = Array.from({ length: 8 }, () => once(spawn(program ?? '', args), 'exit'));
  expect((await Promise.all(runs)).map(([code]: unknown[]) => code)).toEqual(Array(8).fill(0));
  expect(readFileSync(file, 'utf8')).toBe(after);
});
