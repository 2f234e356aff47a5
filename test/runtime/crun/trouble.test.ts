import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start as startProcess } from '../../../runtime/command.ts';
import type { CrunOptions } from '../../../runtime/crun/driver.ts';
import { SandboxError } from '../../../runtime/sandbox.ts';
import { census, expectSameCensus } from '../../census.ts';
import { debian, layersDir, testData } from '../../rootfs.ts';
import { ext4Limits, lab, overlays, sh, shell, start, tell } from './lab.ts';

// Programs that stand for a broken crun or holder.
let programs: string;
beforeAll(() => {
  programs = mkdtempSync(join(testData, 'programs-'));
});
afterAll(() => rmSync(programs, { recursive: true }));

function program(script: string): string {
  const path = join(programs, `program-${Math.random()}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SandboxError);
  return error instanceof Error ? error.message : '';
}

test.each<[string, () => Partial<CrunOptions>, RegExp]>([
  [
    'a missing holder',
    () => ({ holder: '/no/such/holder' }),
    /cannot start the holder \/no\/such\/holder: .*ENOENT/,
  ],
  [
    'a holder that is no program',
    () => ({ holder: '/etc/passwd' }),
    /cannot start the holder \/etc\/passwd: .*EACCES/,
  ],
  ['a holder that ends at once', () => ({ holder: program('exit 1') }), /ended by itself/],
  ['a missing crun', () => ({ crun: '/no/such/crun' }), /\/no\/such\/crun: No such file/],
  ['a crun that is no program', () => ({ crun: '/etc/passwd' }), /\/etc\/passwd: Permission denied/],
  [
    'a crun that fails',
    () => ({ crun: program('echo "no cgroups today" >&2; exit 1') }),
    /could not start the container: no cgroups today/,
  ],
  [
    'a crun that fails without a word',
    () => ({ crun: program('exit 3') }),
    /could not start the container: no message/,
  ],
  [
    'a crun that is killed',
    () => ({ crun: program('kill -9 $$') }),
    /could not start the container: .*status 0x9/,
  ],
  ['a crun that starts nothing', () => ({ crun: program('exit 0') }), /crun left no/],
  ['a missing layer store', () => ({ layersDir: '/no/such/layers' }), /\/no\/such\/layers: No such file/],
])('%s is an error that says so, and leaves nothing', async (_, options, message) => {
  await using place = lab(options());
  const before = census(place.dataDir);
  const sandbox = place.open();
  expect(await failure(sh(sandbox, 'true'))).toMatch(message);
  await sandbox.destroy();
  await expectSameCensus(place.dataDir, before);
});

test('a crun that hangs does not keep the sandbox from being destroyed', async () => {
  await using place = lab({ crun: program('exec sleep 1000') });
  const before = census(place.dataDir);
  const sandbox = place.open();
  const running = failure(sh(sandbox, 'true'));
  await sleep(100);
  const began = performance.now();
  await sandbox.destroy();
  expect(performance.now() - began).toBeLessThan(1000);
  expect(await running).toMatch(/was destroyed/);
  await expectSameCensus(place.dataDir, before);
});

describe('the store', () => {
  test.each(overlays)('without a layer is an error that names it (%s)', async (overlay) => {
    await using place = lab({ overlay });
    const before = census(place.dataDir);
    const sandbox = place.open();
    const root = { ...debian, layers: [...debian.layers, join(layersDir, 'gone')] };
    expect(await failure(tell(start(sandbox, root), shell('true')))).toMatch(/layers\/gone/);
    await sandbox.destroy();
    await expectSameCensus(place.dataDir, before);
  });

  test('whose image is being removed is an error that says so', async () => {
    await using place = lab();
    const lock = join(place.scratch, 'image.lock');
    writeFileSync(lock, '');
    const remover = startProcess(
      { file: 'flock', args: ['-x', lock, 'sh', '-c', 'echo locked; exec sleep 1000'] },
      { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
    );
    if (remover.stdout) await once(remover.stdout, 'data');
    try {
      expect(await failure(tell(start(place.open(), { ...debian, lock }), shell('true')))).toMatch(
        /the image was removed a moment ago: .*image\.lock/,
      );
    } finally {
      process.kill(-(remover.pid ?? Number.NaN), 'SIGKILL');
    }
  });

  test('keeps an image locked while the sandbox lives, and not longer', async () => {
    await using place = lab();
    const lock = join(place.scratch, 'image.lock');
    writeFileSync(lock, '');
    const removable = async () => {
      const child = startProcess({ file: 'flock', args: ['-xn', lock, 'true'] }, { stdio: 'ignore' });
      const [code] = await once(child, 'close');
      return code === 0;
    };
    const sandbox = place.open();
    const box = start(sandbox, { ...debian, lock });
    await tell(box, shell('true'));
    expect(await removable()).toBe(false);
    await sandbox.destroy();
    await expect.poll(removable).toBe(true);
  });
});

describe('the disk', () => {
  test.each([
    ['damaged', 'garbage'.repeat(10_000)],
    ['empty', ''],
  ])('with a template that is %s is an error, and leaves nothing', async (_, content) => {
    await using place = lab();
    const before = census(place.dataDir);
    const { diskBytes, diskInodes } = ext4Limits;
    mkdirSync(join(place.dataDir, 'disks'), { recursive: true });
    writeFileSync(join(place.dataDir, 'disks', `ext4-${diskBytes}-${diskInodes}.img`), content);
    const sandbox = place.open({ limits: ext4Limits });
    expect(await failure(sh(sandbox, 'true'))).toMatch(/mount \/dev\/loop\d+: |loop device: /);
    await sandbox.destroy();
    await expectSameCensus(place.dataDir, before);
  });

  test('that cannot be made is an error, and leaves nothing', async () => {
    await using place = lab();
    const disks = join(place.dataDir, 'disks');
    rmSync(disks, { recursive: true });
    writeFileSync(disks, '');
    const sandbox = place.open({ limits: { diskBytes: 2 ** 30 } });
    expect(await failure(sh(sandbox, 'true'))).toMatch(/cannot make the disk of the sandbox: /);
    await sandbox.destroy();
    expect(readFileSync(disks, 'utf8')).toBe('');
  });

  test('destroyed while its template is made resolves, and rejects what was queued', async () => {
    await using place = lab();
    const sandbox = place.open({ limits: { diskBytes: 2 ** 30 } });
    const running = failure(sh(sandbox, 'true'));
    await sandbox.destroy();
    expect(await running).toMatch(/was destroyed/);
  });

  test('that many sandboxes want at first is made once, for all', async () => {
    await using place = lab();
    const limits = { diskBytes: 2 ** 30 };
    const told = await Promise.all(Array.from({ length: 8 }, () => sh(place.open({ limits }), 'echo up')));
    expect(told.map(({ output }) => output)).toEqual(Array.from({ length: 8 }, () => 'up\n'));
    expect(readdirSync(join(place.dataDir, 'disks'))).toHaveLength(1);
  });
});

test('a source that is a file, or is not there, is an error', async () => {
  await using place = lab();
  expect(await failure(sh(place.open({ workspace: { sources: ['/etc/passwd'] } }), 'true'))).toMatch(
    /workspace|source/,
  );
  expect(await failure(sh(place.open({ workspace: { sources: ['/no/such'] } }), 'true'))).toMatch(
    /source \/no\/such/,
  );
});

test('a NUL in a command is an error of that command alone', async () => {
  await using place = lab();
  const box = start(place.open());
  expect(await failure(tell(box, shell('echo \0')))).toMatch(/NUL/);
  expect((await tell(box, shell('echo on'))).output).toBe('on\n');
});
