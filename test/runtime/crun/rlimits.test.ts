import { expect, test } from 'vitest';
import { rlimits } from '../../../runtime/crun/rlimits.ts';

// As proc(5) prints it.
const limits = (files: string, pending = 'unlimited            unlimited') => `\
Limit                     Soft Limit           Hard Limit           Units
Max core file size        unlimited            unlimited            bytes
Max open files            ${files} files
Max locked memory         8388608              8388608              bytes
Max pending signals       ${pending} signals
Max msgqueue size         819200               819200               bytes
`;
const of = (type: string, text: string, openFiles = 65_536) =>
  rlimits(openFiles, text).find((limit) => limit.type === type);

test.each([
  ['1024                 1048576             ', 65_536, { soft: 1024, hard: 65_536 }],
  ['1024                 4096                ', 65_536, { soft: 1024, hard: 4096 }],
  ['256                  512                 ', 65_536, { soft: 512, hard: 512 }],
  ['unlimited            unlimited           ', 65_536, { soft: 1024, hard: 65_536 }],
  ['1024                 1048576             ', 64, { soft: 64, hard: 64 }],
])('with %s open files here, %i asked for are %o', (here, asked, wanted) => {
  expect(of('RLIMIT_NOFILE', limits(here), asked)).toEqual({ type: 'RLIMIT_NOFILE', ...wanted });
});

test('the others are lowered to what this process has, and never raised', () => {
  const text = limits(
    '1024                 4096                ',
    '100                  100                 ',
  );
  expect(of('RLIMIT_SIGPENDING', text)).toMatchObject({ soft: 100, hard: 100 });
  expect(of('RLIMIT_MEMLOCK', text)).toMatchObject({ soft: 65_536, hard: 65_536 });
  expect(of('RLIMIT_CORE', text)).toMatchObject({ soft: 0, hard: 0 });
});

test('this machine has a row for each limit', () => {
  for (const { type, soft, hard } of rlimits(100)) {
    expect(hard, type).toBeGreaterThanOrEqual(soft);
    expect(Number.isNaN(hard), type).toBe(false);
  }
});
