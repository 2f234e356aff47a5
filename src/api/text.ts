import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { bytesSoFar } from '../logs/stream.ts';
import type { StoredBuild } from '../records.ts';
import { Problem } from './problem.ts';
import { type ByteRange, parseRange } from './range.ts';
import type { Context } from './service.ts';
import { openStream } from './stream.ts';
import { isFinished } from './watch.ts';

interface TextRequest {
  readonly after: number;
  /** The Range header. */
  readonly range: string | undefined;
  readonly follow: boolean;
}

/** A log as text/plain: exactly the bytes of one attempt, the last or the one that runs. Throws Problem (410, 416). */
export async function sendText(
  context: Context,
  { record }: StoredBuild,
  { after, range, follow }: TextRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { attempt } = record;
  const finished = isFinished(record);
  if (follow && !finished)
    return reply.send(openStream(context, record, { format: 'plain', from: after }, reply));

  const key = finished && record.storage ? `${record.storage.prefix}log` : undefined;
  const archived = key === undefined ? undefined : await context.storage.head(key);
  const total = archived?.bytes ?? (await context.reach(() => bytesSoFar(context.redis, record)));
  if (finished && !archived && total < record.log.bytes - record.log.cutBytes) {
    throw new Problem(410, 'the log of this build is gone from the storage');
  }
  const wanted = parseRange(range, total);
  if (wanted === 'unsatisfiable') {
    const headers = { 'content-range': `bytes */${total}` };
    throw new Problem(416, `the log has ${total} bytes`, { headers });
  }
  const { start, end } = wanted === 'all' ? { start: Math.min(after, total), end: total - 1 } : wanted;
  reply.headers({ 'accept-ranges': 'bytes', 'content-length': end + 1 - start });
  // The length of a log that grows is not known.
  if (wanted !== 'all')
    reply.code(206).header('content-range', `bytes ${start}-${end}/${finished ? total : '*'}`);
  if (end < start) return reply.send('');
  if (key !== undefined && archived) return reply.send((await context.storage.get(key, { start, end })).body);
  const from = { attempt, offset: start };
  const log = openStream(context, record, { format: 'plain', from }, reply);
  return reply.send(Readable.from(between(log, { start, end }), { objectMode: false }));
}

async function* between(chunks: AsyncIterable<Buffer>, { start, end }: ByteRange): AsyncGenerator<Buffer> {
  let left = end + 1 - start;
  for await (const chunk of chunks) {
    yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
}
