import { describe, expect, test } from 'vitest';
import { type Container, SandboxError } from '../../../runtime/sandbox.ts';
import { type Bench, code, shell, start, tell } from './bench.ts';

/** Files in memory that come with a command. */
export function secretRules({ open }: Bench): void {
  describe('secrets', () => {
    const show = async (box: Container, secrets: Readonly<Record<string, string>>) => {
      const chunks: Buffer[] = [];
      const command = { ...shell('cat /run/secrets/key'), secrets };
      const exit = await box.run(command, (chunk) => void chunks.push(Buffer.from(chunk)));
      return { exit, output: Buffer.concat(chunks).toString() };
    };

    test('are files in /run/secrets when their command begins, as they were given', async () => {
      await using sandbox = open();
      for (const [i, content] of ['one\ntwo\n', 'ö"$\\\'', '', 's'.repeat(60_000)].entries()) {
        const told = await show(start(sandbox, `box-${i}`), { other: 'x', key: content });
        expect(told).toEqual({ exit: code(0), output: content });
      }
    });

    test('are seen by their own container alone', async () => {
      await using sandbox = open();
      await show(start(sandbox, 'own'), { key: 'secret' });
      expect((await tell(start(sandbox, 'other'), 'cat /run/secrets/key')).exit).toEqual(code(1));
      expect(await sandbox.usage()).toBeDefined();
    });

    test.each(['../key', 'a/b', '', 'ä', 'a b', 'a'.repeat(201)])(
      'cannot lead elsewhere: %j',
      async (file) => {
        await using sandbox = open();
        await expect(show(start(sandbox), { [file]: 'secret' })).rejects.toThrow(SandboxError);
      },
    );
  });
}
