import { describe, expect, test } from 'vitest';
import { type Command, SandboxError, type Signal } from '../../../runtime/sandbox.ts';
import { type Bench, code, contents, shell, start, tell } from './bench.ts';

/** Commands end with a value, by themselves or by signals. */
export function commandRules({ open }: Bench): void {
  describe('commands', () => {
    test.each([0, 1, 42, 255])('that exit %i are a value', async (status) => {
      await using sandbox = open();
      expect((await tell(start(sandbox), `exit ${status}`)).exit).toEqual(code(status));
    });

    test('whose program does not exist are a value too', async () => {
      await using sandbox = open();
      const missing: Command = { ...shell(''), args: ['no-such-program'] };
      expect(await start(sandbox).run(missing, () => {})).toEqual(code(127));
    });

    test('run one after another on the same files', async () => {
      await using sandbox = open();
      const box = start(sandbox);
      await tell(box, 'echo first > note');
      expect((await tell(box, 'cat note')).output).toBe('first\n');
      await tell(box, 'rm note');
      expect((await tell(box, 'cat note')).exit).toEqual(code(1));
    });

    test('run side by side, each with its own output', async () => {
      await using sandbox = open();
      const box = start(sandbox);
      const began = performance.now();
      const told = await Promise.all(
        ['1', '2', '3', '4'].map((each) => tell(box, `echo ${each}; sleep 0.5; exit ${each}`)),
      );
      expect(performance.now() - began).toBeLessThan(1500);
      expect(told).toEqual([1, 2, 3, 4].map((each) => ({ exit: code(each), output: `${each}\n` })));
    });

    test('of several containers share the workspace', async () => {
      await using sandbox = open();
      await tell(start(sandbox, 'writer'), 'echo shared > note');
      expect((await tell(start(sandbox, 'reader'), 'cat note')).output).toBe('shared\n');
    });

    test.each(['workspace', 'reserve', 'reader', '-', 'a'.repeat(32)])(
      'run in a container with the name %s',
      async (box) => {
        await using sandbox = open();
        const started = start(sandbox, box);
        await tell(started, 'echo mine > note');
        started.kill();
        expect(await contents(sandbox, await sandbox.list(['note'], 10))).toEqual({ note: 'mine\n' });
      },
    );
  });

  describe('signals', () => {
    const ends: [Signal, number][] = [
      ['SIGINT', 130],
      ['SIGKILL', 137],
      ['SIGTERM', 143],
    ];
    test.each(ends)('%s ends a command with %i, and not the container', async (signal, status) => {
      await using sandbox = open();
      const box = start(sandbox);
      box.signal(signal);
      // dash forgets a SIGINT that comes just before it starts a program, so it is asked again.
      let asking: NodeJS.Timeout | undefined;
      const exit = await box.run(shell('echo up; sleep 20'), () => {
        box.signal(signal);
        asking = setInterval(() => box.signal(signal), 100);
      });
      clearInterval(asking);
      expect(exit).toEqual(code(status));
      expect(await tell(box, 'echo on')).toEqual({ exit: code(0), output: 'on\n' });
    });

    test('of one command end that one alone; when it has ended nothing', async () => {
      await using sandbox = open();
      const box = start(sandbox);
      const [first, second] = [shell('echo up; sleep 20'), shell('echo up; sleep 0.5; exit 3')];
      const both = await Promise.all([
        box.run(first, () => box.signal('SIGTERM', first)),
        box.run(second, () => {}),
      ]);
      expect(both).toEqual([code(143), code(3)]);
      box.signal('SIGKILL', first);
      expect((await tell(box, 'echo on')).output).toBe('on\n');
    });

    test('kill() ends all commands of one container only, with 137', async () => {
      await using sandbox = open();
      const box = start(sandbox, 'one');
      const other = start(sandbox, 'two');
      const both = await Promise.all([
        box.run(shell('echo up; sleep 20'), () => box.kill()),
        box.run(shell('sleep 20'), () => {}),
        tell(other, 'sleep 0.5; exit 4'),
      ]);
      expect(both).toEqual([code(137), code(137), { exit: code(4), output: '' }]);
      await expect(tell(box, 'echo on')).rejects.toThrow(SandboxError);
      box.kill();
      box.signal('SIGTERM');
      expect((await tell(other, 'echo on')).output).toBe('on\n');
    });
  });
}
