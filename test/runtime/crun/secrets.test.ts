import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { debian } from '../../rootfs.ts';
import { lab, shell } from './lab.ts';

/** The regular files below a directory that hold a text, as paths below it. Does not leave it by symlinks. */
function holding(root: string, canary: string, below = ''): string[] {
  return readdirSync(join(root, below), { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name);
    if (entry.isDirectory()) return holding(root, canary, path);
    return entry.isFile() && readFileSync(join(root, path)).includes(canary) ? [path] : [];
  });
}

/** The processes of this machine whose argument list holds a text. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

/** A process that sees the private mounts of a laboratory's only sandbox. */
function insider(dataDir: string): string {
  const found = readdirSync('/proc').find((pid) => {
    try {
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
      return mounts.includes(`${dataDir}/mnt/disk`) && readlinkSync(`/proc/${pid}/exe`).includes('holder');
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error('no process has the mounts of the sandbox');
  return found;
}

test('a secret is in memory alone: on no disk of the sandbox, in no argument list, in no state of crun', async () => {
  await using bench = lab();
  const box = bench.open().start({ name: 'main', root: debian });
  const file = randomBytes(24).toString('hex');
  const variable = randomBytes(24).toString('hex');
  const seen = Promise.withResolvers<string>();
  const running = box.run(
    {
      ...shell('stat -fc %T /run/secrets; stat -c "%a %u" /run/secrets /run/secrets/key; sleep 20'),
      secrets: { key: file },
    },
    (chunk) => seen.resolve(chunk.toString()),
  );
  const other = box.run({ ...shell('sleep 20'), env: { PATH: '/usr/bin:/bin', TOKEN: variable } }, () => {});
  expect(await seen.promise).toContain('tmpfs\n');
  for (const canary of [file, variable]) {
    expect(processesWith(canary)).toEqual([]);
    // The directory with all of the sandbox's mounts: its disk, its configs, crun's state.
    const root = `/proc/${insider(bench.dataDir)}/root${bench.dataDir}/mnt`;
    expect(readFileSync(join(root, 'c/main/config.json'), 'utf8')).not.toContain(canary);
    expect(readdirSync(join(root, 'run/main'))).toContain('status');
    expect(holding(join(root, 'run'), canary)).toEqual([]);
    expect(readdirSync(join(root, 'disk'))).toContain('c.main');
    expect(holding(join(root, 'disk'), canary)).toEqual([]);
  }
  box.kill();
  await Promise.all([running, other]);
});

test('only root of the container reads a secret, and nobody writes it', async () => {
  await using bench = lab();
  const box = bench.open().start({ name: 'main', root: debian });
  let output = '';
  const script =
    'stat -c "%a %u:%g" /run/secrets /run/secrets/key; su -s /bin/sh -c "cat /run/secrets/key" nobody';
  const exit = await box.run({ ...shell(script), secrets: { key: 'v' } }, (chunk) => {
    output += chunk.toString();
  });
  expect(output.split('\n').slice(0, 2)).toEqual(['700 0:0', '400 0:0']);
  expect(output).toContain('Permission denied');
  expect(exit.code).not.toBe(0);
});
