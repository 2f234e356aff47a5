// A worker in the network namespace that it was started in: runs a sandbox for each line of JSON on its input, and prints
// what came of it as one. Its data directory, network options (JSON) and further
// directories for the workspace are its arguments.
import { createInterface } from 'node:readline';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { NetworkOptions } from '../../../../runtime/crun/network.ts';
import type { Network, Sandbox } from '../../../../runtime/sandbox.ts';
import { lab, start, tell } from '../lab.ts';

/** One build: its command has `node` and the client in the workspace. */
export interface Order {
  readonly id: number;
  readonly network: Network;
  readonly args: readonly [string, ...string[]];
}

/** Ends a build before its time. */
export interface Stop {
  readonly stop: number;
}

export interface Report {
  readonly id: number;
  readonly output: string;
  readonly code: number;
  readonly notices: readonly string[];
  /** Why the sandbox failed. */
  readonly error?: string;
}

const [, , dataDir = '', network = '{}', ...sources] = process.argv;
const options: NetworkOptions = JSON.parse(network);
const place = lab({ dataDir, network: options });

const running = new Map<number, Sandbox>();

async function build({ id, network: wanted, args }: Order): Promise<Report> {
  const notices: string[] = [];
  const sandbox = place.open({
    workspace: { sources: [dirname(process.execPath), join(import.meta.dirname, 'client'), ...sources] },
    network: wanted,
    notice: (line) => void notices.push(line),
  });
  running.set(id, sandbox);
  try {
    const { output, exit } = await tell(start(sandbox), {
      args,
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/workspace',
    });
    return { id, output, code: exit.code, notices };
  } catch (error) {
    return { id, output: '', code: -1, notices, error: String(error) };
  } finally {
    await sandbox.destroy();
  }
}

const orders = createInterface(process.stdin);
// It ends with whoever gives orders; its sandboxes end with it.
orders.on('close', () => process.exit());
orders.on('line', (line) => {
  const order: Order | Stop = JSON.parse(line);
  if ('stop' in order) void running.get(order.stop)?.destroy();
  else void build(order).then((report) => process.stdout.write(`${JSON.stringify(report)}\n`));
});
// What builds must not find: a service of the machine, on all of its addresses.
createServer((socket) => socket.on('error', () => {}).end('the machine'))
  .listen(6379, '::')
  .on('listening', () => process.stdout.write('ready\n'));
