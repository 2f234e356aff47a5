import { expect, test } from 'vitest';
import { type Failures, fakeDriver, type Script } from '../../../runtime/fake/driver.ts';
import { SandboxError, type SandboxSpec } from '../../../runtime/sandbox.ts';

const spec: SandboxSpec = {
  id: 'fake',
  limits: { cpus: 1, memoryBytes: 1, diskBytes: 1, diskInodes: 1, pids: 1, openFiles: 1 },
  workspace: { path: '/workspace', sources: [], hidden: [] },
};
const command = { args: ['make'], env: {}, cwd: '/' } as const;
const start = (script: Script, failures?: Failures) =>
  fakeDriver(script, failures)
    .open(spec)
    .start({ name: 'main', root: { layers: [], lock: '' } });

test('a script sees the command and decides how it ends', async () => {
  const box = start(({ args }) => ({
    output: [args.join(' ')],
    exit: { reason: args[0] === 'make' ? 'oom' : 'exit', code: 0 },
  }));
  let output = '';
  const exit = await box.run(command, (chunk) => void (output += chunk.toString()));
  expect({ exit, output }).toEqual({ exit: { reason: 'oom', code: 0 }, output: 'make' });
});

test('a command that a signal ends early writes nothing', async () => {
  const box = start((_, workspace) => ({
    output: [workspace.has('made') ? 'made' : 'not made'],
    writes: { made: 'yes' },
    delayMs: 20_000,
  }));
  const told: string[] = [];
  const sink = (chunk: Buffer) => {
    told.push(chunk.toString());
    box.signal('SIGTERM');
  };
  await box.run(command, sink);
  await box.run(command, sink);
  expect(told).toEqual(['not made', 'not made']);
});

test.each(['open', 'start', 'run'] as const)('trouble of %s can be injected', async (phase) => {
  const box = start(() => ({}), { [phase]: `no ${phase} today` });
  const error = await box.run(command, () => {}).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SandboxError);
  expect(error).toMatchObject({ phase, message: `no ${phase} today` });
});
