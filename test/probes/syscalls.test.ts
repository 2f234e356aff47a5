import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rules } from '../../runtime/crun/seccomp/policy.ts';
import { type Bench, createBench } from './bench.ts';
import { defaultControls } from './mutation.ts';
import { callAll, differences, parseTable, renderTable, tableFile } from './syscall-table.ts';

// Numbers are those of x86-64.
describe.skipIf(process.arch !== 'x64')('every system call from 0 to 600', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await createBench();
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  test('is refused where the reviewed table says so, and so is every 32-bit and x32 one', async () => {
    const output = await callAll(bench);
    expect(differences(output).filter(({ kind }) => kind === 'opened')).toEqual([]);
    expect(output.match(/^i386 /gm)).toHaveLength(601);
    expect(output.match(/^x32 /gm)).toHaveLength(601);
  });

  test('makes a difference when the filter no longer has it', async () => {
    const { all } = await defaultControls(bench);
    const opening = all.find(({ id }) => id === 'seccomp: keyrings')?.without;
    if (typeof opening !== 'object') throw new Error('no such control');
    const opened = differences(await callAll(bench, opening)).filter(({ kind }) => kind === 'opened');
    expect(opened.map(({ text }) => text)).toEqual([
      '248 add_key: was EPERM, is EFAULT',
      '249 request_key: was EPERM, is EFAULT',
      '250 keyctl: was EPERM, is EINVAL',
    ]);
  });

  test('is in the table once, and the table refuses what the policy does not allow', () => {
    const text = readFileSync(tableFile, 'utf8');
    const table = parseTable(text);
    const policy = rules('x64');
    // sync (162) is not called.
    expect([...table.keys()]).toEqual(Array.from({ length: 601 }, (_, i) => i).filter((i) => i !== 162));
    expect(text.match(/^\d+ /gm)).toHaveLength(600);
    for (const [number, { outcome, name }] of table) {
      const rule = policy.get(number);
      // Every kernel that has uprobe lets it pass.
      if (number === 336) continue;
      if (rule === undefined) expect(outcome, name).toBe('ENOSYS');
      if (rule === 'eperm') expect(outcome, name).toBe('EPERM');
    }
  });
});

const printed = 'native 0 allowed\nnative 1 EPERM\ni386 20 ENOSYS\n';

test('a difference names number, name, was and is; and only what was refused is opened', () => {
  const told = differences(`${printed}native 250 EINVAL\nx32 39 allowed\nnative 2 EACCES\n`);
  expect(told.filter(({ text }) => !text.endsWith('was not called'))).toEqual([
    { text: '1 write: was EBADF, is EPERM', kind: 'other' },
    { text: '250 keyctl: was EPERM, is EINVAL', kind: 'opened' },
    { text: '39 x32: was ENOSYS, is allowed', kind: 'opened' },
    { text: '2 open: was EFAULT, is EACCES', kind: 'other' },
  ]);
});

test('a call that an older kernel lacks is no difference', () => {
  expect(differences('native 462 ENOSYS\n', '6.9').map(({ text }) => text)).not.toContainEqual(
    expect.stringContaining('mseal: was allowed'),
  );
  expect(differences('native 462 ENOSYS\n', '6.10').map(({ text }) => text)).toContain(
    '462 mseal: was allowed, is ENOSYS',
  );
});

test('what kernels that are configured in different ways answer is no difference', () => {
  const shadowStacks = (outcome: string) =>
    differences(`native 453 ${outcome}\n`).filter(({ text }) => !text.endsWith('was not called'));
  expect(['ENOSYS', 'EOPNOTSUPP'].flatMap(shadowStacks)).toEqual([]);
  expect(shadowStacks('EPERM')).toHaveLength(1);
});

test('a table made anew keeps names, versions, comments, and what other kernels answer', () => {
  const rows = renderTable(
    'native 23 EINTR\nnative 453 EOPNOTSUPP\nnative 462 allowed\nnative 599 EPERM\n',
    new Map([[599, 'new']]),
  );
  expect(rows.split('\n').filter((row) => !row.startsWith('#'))).toEqual([
    '23  select                  EINTR  # waits for nothing',
    '453 map_shadow_stack        ENOSYS/EOPNOTSUPP  # allowed; without shadow stacks in the kernel, or in the processor',
    '462 mseal                   allowed  since 6.10  # of nothing',
    '599 new                     EPERM',
    '',
  ]);
});
