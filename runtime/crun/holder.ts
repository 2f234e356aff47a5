import type { Socket } from 'node:net';
import type { ToolCommand } from '../command.ts';

/** How a command ended, with the state of the ephemeral layer at that moment. */
export interface CommandEnd {
  /** As wait(2) gives it. */
  readonly status: number;
  readonly diskPeakBytes: number;
  readonly diskFreeBytes: number;
  readonly diskFreeInodes: number;
}

/** What the holder tells. A promise from output() is waited for before more is read. */
export interface HolderEvents {
  output(id: number, chunk: Buffer): void | Promise<void>;
  end(id: number, end: CommandEnd): void;
  containerGone(name: string): void;
  usage(diskPeakBytes: number): void;
  /** The link of the sandbox has addresses, by its number. */
  network(number: number): void;
  /** The sandbox failed; no command or container of it goes on. */
  failure(message: string, cause?: unknown): void;
  /** The holder ended: nothing of the sandbox is left. */
  exit(): void;
}

export interface Holder {
  /** Queues a message; see runtime/crun/holder/pod.c for the verbs. */
  send(...words: readonly string[]): void;
  /** Ends the sandbox. */
  close(): void;
}

const headerBytes = 12;

/** What a holder has not read after this long it never will: it waits for a crun that hangs. */
const flushMs = 1_000;

/**
 * Starts the holder at the other end of a stream of the spawner. The stream is also its lifeline: when this process dies,
 * the kernel closes it.
 */
export function startHolder(stream: Socket, command: ToolCommand, events: HolderEvents): Holder {
  let pending: Buffer = Buffer.alloc(0);
  let waiting = false;
  let state: 'open' | 'closing' | 'gone' = 'open';

  /** Hands out whole control frames, and output as it comes; what is left waits for more. */
  const take = (): void => {
    // oxlint-disable-next-line no-unmodified-loop-condition -- wait() sets it
    while (!waiting && pending.length >= headerBytes) {
      const type = pending.readUInt32LE(0);
      const id = pending.readUInt32LE(4);
      const length = pending.readUInt32LE(8);
      const have = Math.min(length, pending.length - headerBytes);
      if (type === code.output) {
        if (have === 0) return;
        const chunk = pending.subarray(headerBytes, headerBytes + have);
        const rest = pending.subarray(headerBytes + have);
        pending = have === length ? rest : Buffer.concat([frameHeader(type, id, length - have), rest]);
        const busy = deliver(id, chunk);
        if (busy) wait(busy);
        continue;
      }
      if (have < length) return;
      const payload = pending.subarray(headerBytes, headerBytes + length);
      pending = pending.subarray(headerBytes + length);
      handle(type, id, payload);
    }
  };

  /** A sink that throws is as bad as one that rejects, and must not end this process. */
  const deliver = (id: number, chunk: Buffer): void | Promise<void> => {
    try {
      return events.output(id, chunk);
    } catch (error) {
      return Promise.reject(error);
    }
  };

  const wait = (busy: Promise<void>): void => {
    if (state !== 'closing') {
      waiting = true;
      stream.pause();
    }
    busy
      .catch((error: unknown) => events.failure(`the reader of the log failed: ${String(error)}`, error))
      .finally(() => {
        if (state === 'closing') return;
        waiting = false;
        take();
        if (waiting) return;
        stream.resume();
        settle();
      });
  };

  const handle = (type: number, id: number, payload: Buffer): void => {
    switch (type) {
      case code.end:
        events.end(id, {
          status: Number(payload.readBigInt64LE(0)),
          diskPeakBytes: Number(payload.readBigUInt64LE(8)),
          diskFreeBytes: Number(payload.readBigUInt64LE(16)),
          diskFreeInodes: Number(payload.readBigUInt64LE(24)),
        });
        return;
      case code.gone:
        events.containerGone(payload.toString());
        return;
      case code.usage:
        events.usage(Number(payload.readBigUInt64LE(0)));
        return;
      case code.network:
        events.network(id);
        return;
      case code.error:
        events.failure(payload.toString());
    }
  };

  /** The end is told after all that came before it was taken. */
  const settle = (): void => {
    if (state === 'gone' && !waiting) events.exit();
  };

  stream.on('data', (chunk: Buffer) => {
    if (state === 'closing') return;
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    take();
  });
  stream.on('error', (error) => {
    // One that is gone shows by the end of the stream; a write that fails because of it adds nothing.
    if (stream.bytesRead === 0)
      events.failure(`cannot start the holder ${command.file}: ${error.message}`, error);
  });
  stream.on('close', () => {
    if (state === 'closing') return events.exit();
    state = 'gone';
    settle();
  });

  const send = (...words: readonly string[]): void => {
    const body = Buffer.from(`${words.join('\0')}\0`);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(body.length);
    stream.write(Buffer.concat([size, body]));
  };
  send(command.file, ...command.args);

  return {
    send,
    close: () => {
      if (state !== 'open') return;
      state = 'closing';
      pending = Buffer.alloc(0);
      const patience = setTimeout(() => stream.destroy(), flushMs);
      // Only our side, for the other one tells when the holder is gone; what it still sends is dropped.
      stream.end(() => clearTimeout(patience));
      stream.resume();
    },
  };
}

const code = {
  output: 'L'.charCodeAt(0),
  end: 'X'.charCodeAt(0),
  gone: 'G'.charCodeAt(0),
  usage: 'U'.charCodeAt(0),
  network: 'N'.charCodeAt(0),
  error: 'E'.charCodeAt(0),
} as const;

function frameHeader(type: number, id: number, length: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(type, 0);
  header.writeUInt32LE(id, 4);
  header.writeUInt32LE(length, 8);
  return header;
}
