import { start, type ToolCommand } from '../runtime/command.ts';

/** What every contender runs in a fresh container. */
export const greeter = ['sh', '-c', 'echo hi'] as const;
const greeting = 'hi\n';

/** Milliseconds from the call in this process. */
export interface Greeting {
  /** To the first byte of output. */
  readonly firstByteMs: number;
  /** Until nothing of the container is left, as far as the caller is told. */
  readonly goneMs: number;
}

/** Something that runs the greeter in a fresh container. */
export interface Contender {
  readonly name: string;
  readonly greet: () => Promise<Greeting>;
  /** Removes what it needed between runs. */
  close(): Promise<void>;
}

/** Times one run. Throws when its output is not the greeting: a container that failed fast is not fast. */
export async function timeGreeting(
  run: (output: (chunk: Buffer) => void) => Promise<void>,
): Promise<Greeting> {
  const begun = performance.now();
  let firstByteMs: number | undefined;
  let text = '';
  await run((chunk) => {
    firstByteMs ??= performance.now() - begun;
    text += chunk.toString();
  });
  const goneMs = performance.now() - begun;
  if (firstByteMs === undefined || text !== greeting) {
    throw new Error(`a container printed ${JSON.stringify(text)} instead of ${JSON.stringify(greeting)}`);
  }
  return { firstByteMs, goneMs };
}

/** Runs a program that prints what its container prints. Not by run() of command.ts, which collects. */
export function runPrinting(command: ToolCommand, output: (chunk: Buffer) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = start(command, { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stdout?.on('data', output);
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  child.on('error', reject);
  child.on('close', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`${command.file} exited with ${code}: ${complaint.trim()}`));
  });
  return promise;
}
