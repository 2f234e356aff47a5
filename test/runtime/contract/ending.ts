import { describe, expect, test } from 'vitest';
import { type Container, type Sandbox, SandboxError } from '../../../runtime/sandbox.ts';
import { type Bench, shell, start, tell } from './bench.ts';

/** Trouble rejects what waits; destroy() may come at any time. */
export function endingRules({ open }: Bench): void {
  describe('failures', () => {
    test.each<[string, (sandbox: Sandbox, box: Container) => Promise<unknown>]>([
      ['run', (_, box) => tell(box, 'echo hello')],
      ['list', (sandbox) => sandbox.list([''], 1)],
      [
        'read',
        (sandbox) => sandbox.read([{ path: 'a', size: 0, mode: 0 }], { begin() {}, data() {}, end() {} }),
      ],
      ['usage', (sandbox) => sandbox.usage()],
    ])('of open() reject the next call that waits: %s', async (which, call) => {
      await using sandbox = open('/no-such-source');
      const box = start(sandbox);
      if (which !== 'run') box.kill();
      const error = await call(sandbox, box).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SandboxError);
      expect(String(error)).toContain('no-such-source');
      await sandbox.destroy();
    });
  });

  describe('destroy()', () => {
    test.each<[string, (sandbox: Sandbox) => unknown]>([
      ['at once', () => {}],
      ['after start()', (sandbox) => start(sandbox)],
      ['after a command', (sandbox) => tell(start(sandbox), 'echo hello')],
      ['after kill()', (sandbox) => start(sandbox).kill()],
    ])('%s, and again, resolves', async (_, before) => {
      const sandbox = open();
      await before(sandbox);
      await Promise.all([sandbox.destroy(), sandbox.destroy()]);
      await sandbox.destroy();
    });

    test('rejects what runs, and all that comes later', async () => {
      const sandbox = open();
      const box = start(sandbox);
      const up = Promise.withResolvers<void>();
      const running = box.run(shell('echo up; sleep 20'), () => up.resolve());
      const queued = tell(box, 'sleep 20');
      await up.promise;
      const rejected = [running, queued].map((each) => expect(each).rejects.toThrow(SandboxError));
      await sandbox.destroy();
      await Promise.all(rejected);
      await expect(tell(box, 'echo on')).rejects.toThrow(SandboxError);
      await expect(sandbox.list([''], 10)).rejects.toThrow(SandboxError);
      await expect(sandbox.usage()).rejects.toThrow(SandboxError);
      box.signal('SIGTERM');
      box.kill();
    });

    test('after a failed open() resolves', async () => {
      const sandbox = open('/no-such-source');
      await expect(sandbox.usage()).rejects.toThrow(SandboxError);
      await sandbox.destroy();
      await sandbox.destroy();
    });
  });
}
