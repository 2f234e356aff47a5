import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { lab, sh, smallLimits } from './lab.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

test('what a build writes is not written out, neither when it replaces a file nor when its sandbox ends', async () => {
  await using place = lab();
  // Much larger than what is written: where space is short, the kernel writes out to learn what is free.
  const sandbox = place.open({ limits: { ...smallLimits, diskBytes: 4 * GiB } });
  await sh(sandbox, 'head -c 1M /dev/zero >big; cp big renamed');
  const device = deviceOf(place.dataDir);
  const before = bytesWritten(device);
  const script = 'head -c 100M /dev/zero >big; head -c 100M /dev/zero >new; mv new renamed; ls -l | wc -l';
  expect((await sh(sandbox, script)).output).toBe('3\n');
  await sandbox.destroy();
  expect(bytesWritten(device) - before).toBeLessThan(20 * MiB);
});

/** The loop device of the one ext4 whose file is in a directory. */
function deviceOf(directory: string): string {
  const device = readdirSync('/sys/block').find((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    return existsSync(file) && readFileSync(file, 'utf8').includes(directory);
  });
  if (device === undefined) throw new Error('the disk is on no loop device');
  return device;
}

/** The seventh field counts sectors of 512 bytes, whatever the device's are (block/stat of the kernel's documentation). */
function bytesWritten(device: string): number {
  const fields = readFileSync(`/sys/block/${device}/stat`, 'utf8').trim().split(/\s+/);
  return Number(fields[6]) * 512;
}
