import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import type { Finding } from '../../../runtime/host/requirement.ts';

/** What doctor finds on a machine whose network namespace is new, and prepared by a script. */
async function probe(script = ''): Promise<Finding> {
  const module = join(import.meta.dirname, '../../../runtime/host/network.ts');
  const code = `
    const { networkRequirements } = await import(${JSON.stringify(module)});
    const path = (process.env.PATH ?? '').split(':');
    const host = { root: '/', path, uid: 0, kernelRelease: '6.1', dataDir: '/' };
    process.stdout.write(JSON.stringify(await networkRequirements[0].probe(host)));`;
  const args = [
    '--net',
    'sh',
    '-euc',
    `${script}\nexec "$@"`,
    'sh',
    process.execPath,
    '--input-type=module',
    '-e',
    code,
  ];
  return JSON.parse((await run({ file: 'unshare', args })).stdout.toString());
}

test('a machine that can give builds a network says which, and makes nothing', async () => {
  expect(await probe()).toEqual({
    status: 'ok',
    detail: 'IPv4 (this machine does not forward IPv6); table inet cofferdam comes with the first build',
  });
});

test.each(['forward', 'input'])('another firewall that drops by default (%s) is told', async (hook) => {
  const other = `nft 'add table ip other; add chain ip other everything { type filter hook ${hook} priority 0; policy drop; }'`;
  expect(await probe(other)).toMatchObject({
    status: 'warn',
    detail: 'another firewall drops what it does not know: ip other everything',
  });
});

test('a firewall without nft is told', async () => {
  expect(await probe('PATH=/usr/bin:/bin')).toMatchObject({
    status: 'warn',
    detail: 'builds have no network without nft',
  });
});
