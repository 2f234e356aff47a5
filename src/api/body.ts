import { PassThrough, type Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.ts';

/** How slowly a client may send a body. */
export interface Pace {
  /** Milliseconds that every body may take. */
  readonly graceMs: number;
  /** What it must bring on average after that. */
  readonly bytesPerSecond: number;
}

export const defaultPace: Pace = { graceMs: 10_000, bytesPerSecond: 4096 };

const tickMs = 250;
const lingerMs = 2000;

/**
 * Guards every request body: one that trickles is given up with 408, and what is left of a body that got its answer
 * early is read for a short while, so that the client sees the answer and not a reset connection.
 */
export function guardBodies(app: FastifyInstance, pace: Pace): void {
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    const empty = encoding === undefined && (length === undefined || length === '0');
    done(null, empty ? payload : paced(payload as Readable, pace));
  });

  app.addHook('onSend', (request, reply, payload, done) => {
    const { raw } = request;
    if (!raw.complete && !raw.destroyed) {
      reply.removeHeader('connection');
      raw.unpipe();
      raw.resume();
      const timer = setTimeout(() => raw.destroy(), lingerMs).unref();
      raw.once('end', () => clearTimeout(timer));
    }
    done(null, payload);
  });
}

/** Time counts only while we wait for the client, not while a slow storage makes the client wait. */
function paced(source: Readable, { graceMs, bytesPerSecond }: Pace): Readable {
  const body = new PassThrough();
  let received = 0;
  let waitedMs = 0;
  const timer = setInterval(() => {
    if (!body.writableNeedDrain) waitedMs += tickMs;
    if (waitedMs <= graceMs + (received / bytesPerSecond) * 1000) return;
    body.destroy(new Problem(408, `the body came slower than ${bytesPerSecond} bytes a second`));
  }, tickMs).unref();
  source.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  source.once('end', () => clearInterval(timer));
  source.once('close', () => {
    clearInterval(timer);
    if (!source.readableEnded) body.destroy(new Problem(400, 'the body broke off'));
  });
  source.once('error', (cause) => body.destroy(new Problem(400, 'the body broke off', { cause })));
  body.once('close', () => clearInterval(timer));
  // Whoever reads it gets the error; when nobody does any more, it must not end the process.
  body.on('error', () => {});
  return source.pipe(body);
}
