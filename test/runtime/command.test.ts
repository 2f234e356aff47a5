import { expect, test } from 'vitest';
import { CommandError, run } from '../../runtime/command.ts';

test('a command whose reader gives up ends, and so does what it has started', async () => {
  const enough = new Error('that is enough');
  const reader = () => Promise.reject(enough);
  // The shell dies of the signal; `yes` has only the pipe to notice by.
  const endless = run({ file: 'sh', args: ['-c', 'yes & exec yes'] }, { onStdout: reader });
  await expect(endless).rejects.toThrow(CommandError);
  await expect(endless).rejects.toMatchObject({ cause: enough });
});
