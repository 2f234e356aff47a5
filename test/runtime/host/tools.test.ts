import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dpkgRequirement } from '../../../runtime/host/dpkg.ts';
import { findTool, toolRequirements } from '../../../runtime/host/tools.ts';
import { makeHost } from './fixture.ts';

test('a tool is the first executable file of that name on PATH', () => {
  using host = makeHost({ '/a/tool': 'text', '/c/tool': '#!/bin/sh\n', '/d/tool': '#!/bin/sh\n' });
  mkdirSync(join(host.root, 'b/tool'), { recursive: true });
  for (const directory of ['c', 'd']) chmodSync(join(host.root, directory, 'tool'), 0o755);
  const path = ['a', 'b', 'c', 'd'].map((name) => join(host.root, name));
  expect(findTool({ ...host, path }, 'tool')).toBe(join(host.root, 'c/tool'));
  expect(findTool({ ...host, path }, 'another')).toBeUndefined();
});

test.each([
  ['echo crun version 1.8.1', 'ok', /^1\.8\.1; older than 1\.28/],
  ['echo crun version 1.28', 'ok', /^1\.28$/],
  ['echo crun version 0.17', 'missing', /^version 0\.17$/],
  ['echo something else', 'missing', /^version unknown$/],
  ['echo no libseccomp >&2; exit 1', 'missing', /^does not run: .*no libseccomp/],
])('crun that does `%s`: %s', async (script, status, detail) => {
  using host = makeHost({ '/bin/crun': `#!/bin/sh\n${script}\n` });
  chmodSync(join(host.root, 'bin/crun'), 0o755);
  const crun = toolRequirements.find((each) => each.id === 'crun');
  const finding = await crun?.probe({ ...host, path: [join(host.root, 'bin')] });
  expect(finding).toMatchObject({ status, detail: expect.stringMatching(detail) });
});

test.each([
  ['git version 2.39.5', 'ok', /^2\.39\.5$/],
  ['git version 2.36.1', 'missing', /^version 2\.36\.1$/],
])(
  'git that says `%s`: %s, as older ones cannot be told which address to use',
  async (says, status, detail) => {
    using host = makeHost({ '/bin/git': `#!/bin/sh\necho ${says}\n` });
    chmodSync(join(host.root, 'bin/git'), 0o755);
    const finding = await toolRequirements
      .find((each) => each.id === 'git')
      ?.probe({ ...host, path: [join(host.root, 'bin')] });
    expect(finding).toMatchObject({ status, detail: expect.stringMatching(detail) });
  },
);

test('a dpkg that was killed at work is brought to its end before anything else counts as done', async () => {
  using whole = makeHost({ '/var/lib/dpkg/status': '' });
  expect(await dpkgRequirement.probe(whole)).toMatchObject({ status: 'ok' });
  using killed = makeHost({ '/var/lib/dpkg/updates/0001': 'Package: crun\n' });
  expect(await dpkgRequirement.probe(killed)).toMatchObject({
    status: 'missing',
    remedy: { kind: 'command', args: ['dpkg', '--configure', '-a'], needsRoot: true },
  });
});

test('every tool that is absent names the Debian package that has it', async () => {
  using host = makeHost({});
  for (const { id, neededFor, probe } of toolRequirements) {
    if (id === 'redis-server' && neededFor === 'builds') continue;
    expect(await probe(host), id).toMatchObject({ status: 'missing', remedy: { kind: 'packages' } });
  }
});

test('a machine without Redis can run builds, and its owner is told what `up` needs', async () => {
  using host = makeHost({ '/bin/valkey-server': '#!/bin/sh\n' });
  chmodSync(join(host.root, 'bin/valkey-server'), 0o755);
  const redis = toolRequirements.find(({ id, neededFor }) => id === 'redis-server' && neededFor === 'builds');
  expect(await redis?.probe(host)).toMatchObject({
    status: 'warn',
    remedy: { kind: 'advice', text: expect.stringContaining('install redis-server') },
  });
  expect(await redis?.probe({ ...host, path: [join(host.root, 'bin')] })).toMatchObject({ status: 'ok' });
});
