import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { debian } from '../../rootfs.ts';
import { writeLayout } from '../../runtime/images/image-builder.ts';
import { temporaryDirectory } from '../../workers/directory.ts';
import { cofferdam, image, makeImage } from './cofferdam.ts';

const name = 'test-healthcheck';

beforeAll(async () => {
  await makeImage();
  using dir = temporaryDirectory();
  const tar = join(dir.path, 'shell.tar');
  const [root = ''] = debian.layers;
  const tools = ['sh', 'dash', 'sleep', 'test', 'touch'].map((tool) => `usr/bin/${tool}`).join(' ');
  const libraries = 'lib* usr/lib64 usr/lib/*-linux-gnu/{libc.so.6,ld-linux-*}';
  const script = `cd "$1"; tar -cf "$2" bin ${tools} ${libraries} proc sys dev tmp etc/passwd`;
  await run({ file: 'bash', args: ['-euc', script, 'bash', root, tar] });
  writeLayout(join(dir.path, 'layout'), {
    layers: [readFileSync(tar)],
    config: {
      Env: ['PATH=/usr/bin', 'READY=/tmp/ready'],
      Cmd: ['sh', '-c', 'sleep 1; echo is ready; touch "$READY"; exec sleep 100'],
      Healthcheck: { Test: ['CMD-SHELL', 'test -e "$READY" && test ! -e "$NEVER"'] },
    },
  });
  const { code, stderr } = await cofferdam(['image', 'import', name, join(dir.path, 'layout')]);
  expect(code, stderr).toBe(0);
}, 300_000);
afterAll(async () => {
  expect((await cofferdam(['image', 'rm', name])).code).toBe(0);
});

/** Runs a build with a service of the image, which says nothing of when it is ready but what is given. */
async function build(more = '') {
  using source = temporaryDirectory();
  source.write({
    '.cofferdam.yaml': `image: ${image}
services: [{ name: db, image: ${name}${more} }]
steps: [{ name: use, commands: [echo uses it] }]
`,
  });
  const { code, stdout, stderr } = await cofferdam(['run', source.path]);
  return { code, stderr, lines: stdout.toString().split('\n') };
}

test('steps begin when the HEALTHCHECK of the image of a service passes, in its container and its environment', async () => {
  const { code, stderr, lines } = await build();
  expect(code, stderr).toBe(0);
  expect(lines).toContain('service:db | is ready');
  expect(lines.indexOf('use | uses it')).toBeGreaterThan(lines.indexOf('service:db | is ready'));
});

test('and not at all when it does not pass in time', async () => {
  const { code, stderr, lines } = await build(', environment: { NEVER: /tmp }, ready: { timeout: 2s }');
  expect(code).toBe(1);
  expect(stderr).toMatch(/service 'db' was not ready within 2s \(.* exited with 1\)\nfailed \(service\)\n$/);
  expect(lines).not.toContain('use | uses it');
});
