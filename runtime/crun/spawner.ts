import { connect, Socket } from 'node:net';
import { start } from '../command.ts';
import { SandboxError } from '../sandbox.ts';

/**
 * A small process that starts holders (runtime/crun/holder/spawner.c): a fork of this one copies the page tables of its
 * whole heap, which takes longer than the rest of a start. It ends with this process, however that ends.
 */
export interface Spawner {
  /** Starts it, and again when it was killed; undefined: it runs. Rejects with SandboxError. */
  ready(): Promise<void> | undefined;
  /** A stream to a new holder, whose command line is the first message on it. Only when it is ready. */
  connect(): Socket;
}

export function createSpawner(holder: string): Spawner {
  let state: 'none' | 'running' | Promise<void> = 'none';
  let address = '';

  const launch = (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const child = start(
      { file: holder, args: ['spawner'], env: {} },
      // A session of its own: Ctrl-C in a terminal is ours to handle.
      { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] },
    );
    const stream = child.stdio[3];
    if (!(stream instanceof Socket)) throw new TypeError('descriptor 3 of the spawner is no stream');
    const gone = (message: string, cause?: unknown) => {
      state = 'none';
      reject(new SandboxError('open', message, { cause }));
    };
    stream.on('data', (name: Buffer) => {
      address = name.toString('latin1');
      state = 'running';
      // It must not keep this process from ending.
      child.unref();
      stream.unref();
      resolve();
    });
    // Its end says all.
    stream.on('error', () => {});
    child.on('error', (error) => gone(`cannot start the holder ${holder}: ${error.message}`, error));
    child.on('close', () => gone(`the holder ${holder} ended by itself`));
    return promise;
  };

  return {
    ready: () => {
      if (state === 'running') return undefined;
      if (state === 'none') state = launch();
      return state;
    },
    connect: () => connect({ path: address }),
  };
}
