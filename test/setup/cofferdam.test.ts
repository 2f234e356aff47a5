import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { checkout, execute, makeClone, toolsWithout } from './clone.ts';

const command = join(checkout, 'bin/cofferdam');
const version = { status: 0, stdout: '0.1.0\n', stderr: '' };

describe('bin/cofferdam, when nothing is missing', () => {
  beforeAll(() => {
    const { status, stderr } = execute([join(checkout, 'bin/bootstrap')], { env: process.env });
    expect(status, stderr).toBe(0);
  });

  test.each(['--version', 'run --help'])(
    '%s starts no other program before Node: there is none on its PATH',
    (line) => {
      const { status, stderr } = execute([command, ...line.split(' ')], { env: { PATH: '/nonexistent' } });
      expect([status, stderr]).toEqual([0, '']);
    },
  );

  test('works in an empty environment', () => {
    expect(execute([command, '--version'], { env: {} })).toMatchObject(version);
  });

  test.each([
    ['by a relative path', () => ({ file: 'bin/cofferdam', cwd: checkout })],
    ['from inside bin', () => ({ file: './cofferdam', cwd: join(checkout, 'bin') })],
    ['by sh, without a slash', () => ({ file: 'sh', first: 'cofferdam', cwd: join(checkout, 'bin') })],
    ['from the root directory', () => ({ file: command, cwd: '/' })],
  ])('works %s', (_, where) => {
    const { file, cwd, first }: { file: string; cwd: string; first?: string } = where();
    const args = first === undefined ? [] : [first];
    expect(execute([file, ...args, '--version'], { cwd, env: { PATH: '/usr/bin:/bin' } })).toMatchObject(
      version,
    );
  });

  test('works through symlinks: absolute, relative, of a directory, of a symlink, with spaces', () => {
    using clone = makeClone('packages');
    const links = join(clone.aside, 'my links');
    mkdirSync(links);
    symlinkSync(join(clone.root, 'bin/cofferdam'), join(links, 'absolute'));
    symlinkSync('../the clone/bin/cofferdam', join(links, 'relative'));
    symlinkSync('relative', join(links, 'again'));
    symlinkSync(clone.root, join(links, 'tree'));
    for (const name of ['absolute', 'relative', 'again', 'tree/bin/cofferdam']) {
      const env = { PATH: '/usr/bin:/bin' };
      expect(execute([join(links, name), '--version'], { env }), name).toMatchObject(version);
    }
  });
});

describe('bin/cofferdam, when something is missing', () => {
  test('sets up first; stdout is only what the command prints', () => {
    using clone = makeClone('packages');
    const env = { PATH: '/usr/bin:/bin' };
    const args = [join(clone.root, 'bin/cofferdam'), 'run', '--help'] as const;
    const first = execute(args, { env });
    expect(first.stderr).toMatch(/^cofferdam set-up: compile the holder \.\.\. \d+\.\d s$/m);
    const second = execute(args, { env });
    expect(second.stderr).not.toContain('set-up');
    expect(second.stdout).toBe(first.stdout);
    rmSync(join(clone.root, '.cofferdam-tools/holder'));
    expect(execute(args, { env }).stderr).toContain('compile the holder');
  });

  test('installs nothing on the machine for a command that makes no sandbox', () => {
    using clone = makeClone('packages');
    const path = toolsWithout(clone.aside, ['crun', 'apt-get']);
    expect(execute([join(clone.root, 'bin/cofferdam'), '--version'], { env: { PATH: path } })).toMatchObject(
      version,
    );
  });

  test('a set-up that fails is trouble of the platform: exit code 3', () => {
    using clone = makeClone('fresh');
    const path = toolsWithout(clone.aside, ['node', 'npm']);
    writeFileSync(join(path, 'node'), '#!/bin/sh\necho v20.11.1\n', { mode: 0o755 });
    const { status, stdout, stderr } = execute([join(clone.root, 'bin/cofferdam'), 'run'], {
      env: { PATH: path },
    });
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toContain('npm is needed to set up, and there is none on PATH');
  });
});
