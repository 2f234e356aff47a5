import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { BuildRecord } from '../build.ts';
import type { LogPosition } from '../logs.ts';
import { followBuild, type FollowOptions } from './follow.ts';
import type { Context } from './service.ts';

/** A client that takes nothing for as long is not there any more. */
const stallMs = 120_000;

/** A build as it goes on, as the body of a response; ends when the client goes or the server closes. */
export function openStream(
  context: Context,
  record: BuildRecord,
  options: Pick<FollowOptions, 'format' | 'from' | 'until'>,
  reply: FastifyReply,
): Readable {
  const { hub, watch, heartbeatMs } = context;
  const sources = {
    log: (at: LogPosition, wake: () => void) => hub.follow(record.id, at, wake),
    record: (wake: () => void) => watch(record, wake),
  };
  const signal = context.streams.open(reply, stallMs);
  return Readable.from(followBuild(sources, { ...options, signal, heartbeatMs }), { objectMode: false });
}
