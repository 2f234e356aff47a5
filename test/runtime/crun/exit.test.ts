import { expect, test } from 'vitest';
import { exitOf } from '../../../runtime/crun/exit.ts';
import type { Exit } from '../../../runtime/sandbox.ts';

const none = { oomKills: 0, pidsRefused: 0 };
const roomy = { diskPeakBytes: 0, diskFreeBytes: 2 ** 30, diskFreeInodes: 1000 };

test.each<[string, number, Exit['code']]>([
  ['exit(0)', 0x0000, 0],
  ['exit(1)', 0x0100, 1],
  ['exit(255)', 0xff00, 255],
  ['SIGKILL', 0x0009, 137],
  ['SIGSEGV with a core dump', 0x008b, 139],
])('%s has its code', (_, status, code) => {
  expect(exitOf({ ...roomy, status }, none, none)).toEqual({ reason: 'exit', code });
});

const failed = 0x0100;
test.each<[string, number, Partial<typeof roomy>, Partial<typeof none>, Exit['reason']]>([
  ['a kill for memory stands although the code is 0', 0, {}, { oomKills: 1 }, 'oom'],
  ['a refused fork stands although the code is 0', 0, {}, { pidsRefused: 1 }, 'pids'],
  ['memory goes before pids, which may follow from it', failed, {}, { oomKills: 1, pidsRefused: 1 }, 'oom'],
  ['a failure on a disk without bytes is of the disk', failed, { diskFreeBytes: 4096 }, {}, 'disk'],
  [
    'a failure on a large disk that refused 8 MiB is of the disk',
    failed,
    { diskPeakBytes: 2 ** 30, diskFreeBytes: 7 * 2 ** 20 },
    {},
    'disk',
  ],
  [
    'a failure on a small disk with a sixteenth free is of the command',
    failed,
    { diskPeakBytes: 15 * 2 ** 20, diskFreeBytes: 2 ** 20 },
    {},
    'exit',
  ],
  ['a failure on a disk without inodes is of the disk', failed, { diskFreeInodes: 0 }, {}, 'disk'],
  ['success on a full disk is success', 0, { diskFreeBytes: 0, diskFreeInodes: 0 }, {}, 'exit'],
  ['a failure on a disk with room is of the command', failed, {}, {}, 'exit'],
])('%s', (_, status, disk, counters, reason) => {
  const before = { oomKills: 4, pidsRefused: 7 };
  const after = {
    oomKills: before.oomKills + (counters.oomKills ?? 0),
    pidsRefused: before.pidsRefused + (counters.pidsRefused ?? 0),
  };
  expect(exitOf({ ...roomy, ...disk, status }, before, after).reason).toBe(reason);
});
