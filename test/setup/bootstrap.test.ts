import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { checkout, type Clone, execute, makeClone, toolsWithout } from './clone.ts';

const env = { PATH: '/usr/local/bin:/usr/bin:/bin' };
const silent = { status: 0, stdout: '', stderr: '' };

function bootstrap(clone: Clone, level: '--node' | '--host', environment: NodeJS.ProcessEnv = env) {
  return execute([join(clone.root, 'bin/bootstrap'), level], { env: environment });
}

function made(clone: Clone, name: string): boolean {
  return existsSync(join(clone.root, '.cofferdam-tools', name));
}

describe('bin/bootstrap', () => {
  test('is silent when nothing is missing', () => {
    const args = [join(checkout, 'bin/bootstrap')] as const;
    expect(execute(args, { env: process.env }).status).toBe(0);
    expect(execute(args, { env: { PATH: '/nonexistent:/usr/bin' } })).toMatchObject(silent);
  });

  test('shows each step with its time, once', () => {
    using clone = makeClone('packages');
    const { status, stdout, stderr } = bootstrap(clone, '--host');
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(stderr).toMatch(/^cofferdam set-up: compile the holder \.\.\. \d+\.\d s\n$/);
    expect(made(clone, 'holder')).toBe(true);
    expect(bootstrap(clone, '--host')).toMatchObject(silent);
  });

  test('compiles the holder again when its source is newer', () => {
    using clone = makeClone('packages');
    bootstrap(clone, '--host');
    const soon = new Date(Date.now() + 1000);
    utimesSync(join(clone.root, 'runtime/crun/holder/main.c'), soon, soon);
    expect(bootstrap(clone, '--host').stderr).toContain('compile the holder');
  });

  test('a broken source says what the compiler said, and leaves the set-up undone', () => {
    using clone = makeClone('packages');
    writeFileSync(join(clone.root, 'runtime/crun/holder/main.c'), 'int main(void) { return nothing; }\n');
    const { status, stderr } = bootstrap(clone, '--host');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /cannot compile the holder\. This was run:\n.*cc -O2 -static.*\n.*'nothing' undeclared/s,
    );
    expect(made(clone, 'host.stamp')).toBe(false);
    expect(made(clone, 'scratch')).toBe(false);
  });

  test.each([20, 80, 250])('killed after %d ms, it is completed by the next run', async (milliseconds) => {
    using clone = makeClone('packages');
    // A compiler that is killed leaves its temporary files.
    const dirty = { ...env, TMPDIR: clone.aside };
    const child = spawn(join(clone.root, 'bin/bootstrap'), { env: dirty, stdio: 'ignore', detached: true });
    await sleep(milliseconds);
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await once(child, 'exit');
    expect(bootstrap(clone, '--host').status).toBe(0);
    expect(made(clone, 'holder')).toBe(true);
    expect(made(clone, 'scratch')).toBe(false);
    expect(bootstrap(clone, '--host')).toMatchObject(silent);
  });

  test('waits for another run in the same clone', async () => {
    using clone = makeClone('packages');
    const lock = join(clone.root, '.cofferdam-tools/lock');
    const other = spawn('flock', [lock, 'sleep', '0.5'], { env, stdio: 'ignore' });
    while (!existsSync(lock)) await sleep(10);
    await sleep(50);
    expect(bootstrap(clone, '--node')).toMatchObject({
      status: 0,
      stderr: 'cofferdam set-up: waiting for another set-up of this clone to end\n',
    });
    expect(other.exitCode ?? (await once(other, 'exit'))[0]).toBe(0);
  });
});

describe('bin/bootstrap, where it cannot do everything', () => {
  test('without root: does the rest, and prints the line to run with sudo', () => {
    using clone = makeClone('packages');
    const path = toolsWithout(clone.aside, ['crun', 'skopeo']);
    for (const directory of ['', '.cofferdam-tools', 'node_modules'])
      chownSync(join(clone.root, directory), 65534, 65534);
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] as const;
    const { status, stderr } = execute([...nobody, join(clone.root, 'bin/bootstrap')], {
      env: { PATH: path },
    });
    expect(status).toBe(1);
    expect(stderr).toContain(
      'this needs root; run:\n' +
        'cofferdam set-up:   sudo apt-get update && sudo apt-get install -y --no-install-recommends crun skopeo\n',
    );
    expect(made(clone, 'holder')).toBe(true);
    expect(made(clone, 'host.stamp')).toBe(false);
  });

  test('without apt-get: names the commands and their Debian packages', () => {
    using clone = makeClone('packages');
    const path = toolsWithout(clone.aside, ['crun', 'newuidmap', 'apt-get']);
    const { status, stderr } = bootstrap(clone, '--host', { PATH: path });
    expect(status).toBe(1);
    expect(stderr).toContain('this is not a Debian system (no apt-get)');
    expect(stderr).toContain('  crun (starts containers); in Debian it is in crun\n');
    expect(stderr).toContain(
      '  newuidmap (lets mmdebstrap work in a user namespace); in Debian it is in uidmap\n',
    );
    expect(made(clone, 'host.stamp')).toBe(false);
  });

  test('without a registry: names the step and what to check', () => {
    using clone = makeClone('fresh');
    const offline = { npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0' };
    const { status, stderr } = bootstrap(clone, '--node', { ...env, ...offline, HOME: clone.aside });
    expect(status).toBe(1);
    expect(stderr).toContain('fetch Node 24.21.0 from the npm registry ... failed');
    expect(stderr).toContain('Check that the npm registry can be reached');
    expect(['node', 'node.stamp', 'scratch'].filter((name) => made(clone, name))).toEqual([]);
  });

  test('without a registry, with Node: the packages fail in the same way', () => {
    using clone = makeClone('packages');
    rmSync(join(clone.root, 'node_modules'), { recursive: true });
    const offline = { npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0' };
    const cache = { npm_config_cache: join(clone.aside, 'cache') };
    const { status, stderr } = bootstrap(clone, '--node', {
      ...env,
      ...offline,
      ...cache,
      HOME: clone.aside,
    });
    expect(status).toBe(1);
    expect(stderr).toContain('install the packages of package-lock.json ... failed');
    expect(made(clone, 'node.stamp')).toBe(false);
  });

  test('an npm that breaks off and exits 0 is not believed', () => {
    using clone = makeClone('packages');
    rmSync(join(clone.root, 'node_modules'), { recursive: true });
    const path = toolsWithout(clone.aside, ['npm']);
    const npm = '#!/bin/sh\nmkdir node_modules\necho "npm error Exit handler never called!"\n';
    writeFileSync(join(path, 'npm'), npm, { mode: 0o755 });
    const { status, stderr } = bootstrap(clone, '--node', { PATH: path });
    expect(status).toBe(1);
    expect(stderr).toContain('Exit handler never called');
    expect(made(clone, 'node.stamp')).toBe(false);
  });

  test.each([
    { host: 'v18.19.0', told: 'Node v18.19.0 is too old to set up: install Node 20 or newer' },
    {
      host: undefined,
      told: "Node 20 or newer and npm are needed to set up, and there is no 'node' on PATH",
    },
  ])('on a host with Node $host: says that 20 is needed', ({ host, told }) => {
    using clone = makeClone('fresh');
    const path = toolsWithout(clone.aside, ['node']);
    if (host) writeFileSync(join(path, 'node'), `#!/bin/sh\necho ${host}\n`, { mode: 0o755 });
    const { status, stderr } = bootstrap(clone, '--node', { PATH: path });
    expect(status).toBe(1);
    expect(stderr).toContain(told);
  });

  test('a package that is not the pinned one is refused', () => {
    using clone = makeClone('fresh');
    const path = toolsWithout(clone.aside, ['npm', 'node']);
    symlinkSync(join(checkout, '.cofferdam-tools/node/bin/node'), join(path, 'node'));
    // npm pack --silent --pack-destination DIRECTORY NAME@VERSION
    const npm = '#!/bin/sh\nname=${5%@*} version=${5##*@}\necho other >"$4/$name-$version.tgz"\n';
    writeFileSync(join(path, 'npm'), npm, { mode: 0o755 });
    const { status, stderr } = bootstrap(clone, '--node', { PATH: path });
    expect(status).toBe(1);
    expect(stderr).toContain('the package is not the one this project pins');
    expect(made(clone, 'node')).toBe(false);
  });
});
