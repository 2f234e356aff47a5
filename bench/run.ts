import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { start } from '../runtime/command.ts';
import { exitCode } from '../src/cli/exit.ts';

/**
 * The entry of `npm run bench`. Everything runs in a mount namespace of its own, so that mounts end with it. There
 * the cgroup2 part of a hybrid machine is away: crun refuses to start while a controller sits in it, and the
 * sandboxes take it away in theirs.
 */
const setUp = existsSync('/sys/fs/cgroup/unified')
  ? 'umount -l /sys/fs/cgroup/unified; exec "$@"'
  : 'exec "$@"';
const privately = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', setUp, 'sh'];
const main = [process.execPath, fileURLToPath(new URL('main.ts', import.meta.url)), ...process.argv.slice(2)];

// Only root may do that; anybody may ask for help, and main.ts says what else root is needed for.
const [file = '', ...args] = process.getuid?.() === 0 ? [...privately, ...main] : main;
const child = start({ file, args }, { stdio: 'inherit' });
// main.ts cleans up and ends by itself; its exit code is ours.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  process.stderr.write(`bench: cannot start ${file} (package util-linux): ${error.message}\n`);
  process.exitCode = exitCode.errored;
});
child.on('exit', (code) => {
  process.exitCode = code ?? exitCode.errored;
});
