import type { ToolCommand } from '../command.ts';

/**
 * The command, killed by the kernel when the thread that starts it ends: a tool must not go on working for a process
 * that was killed.
 */
export function endsWithUs(command: ToolCommand): ToolCommand {
  return { ...command, file: 'setpriv', args: ['--pdeathsig', 'KILL', '--', command.file, ...command.args] };
}
