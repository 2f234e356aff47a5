import type { Readable } from 'node:stream';
import { Type } from 'typebox';
import type { BuildRecord } from '../build.ts';
import { bytesSoFar } from '../logs/stream.ts';
import type { LogPosition } from '../logs.ts';
import { tokenOf } from './auth.ts';
import { BuildPath, knownBuild } from './builds.ts';
import { type LogFormat, parseEventId } from './entry.ts';
import { BuildEvent } from './events.ts';
import { endId } from './follow.ts';
import { negotiate } from './negotiation.ts';
import { Problem, problemResponse } from './problem.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';
import { openStream } from './stream.ts';
import { sendText } from './text.ts';
import { isFinished } from './watch.ts';

const formats: Readonly<Record<string, LogFormat>> = {
  'text/plain': 'plain',
  'text/event-stream': 'event-stream',
  'application/x-ndjson': 'ndjson',
};

const LogQuery = Type.Object(
  {
    after: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2 ** 50,
        description: 'Bytes of the log to leave out at the front.',
      }),
    ),
    follow: Type.Optional(
      Type.Enum(['0', '1'] as const, {
        type: 'string',
        description:
          'Whether to wait for more until the build is finished; 0: only what there is now. Default: 0 for text/plain, ' +
          'else 1.',
      }),
    ),
  },
  { additionalProperties: false },
);

const LogHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ description: 'Of text/event-stream: goes on after that event.' }),
  ),
  range: Type.Optional(Type.String({ description: 'Of text/plain: one range of bytes.' })),
});

const Bytes = Type.Unsafe<Readable | string>({ type: 'string' });

/** `/v1/builds/:id/logs`: what a build writes, while it writes and after. */
export function logs(app: App, context: Context): void {
  app.get(
    '/v1/builds/:id/logs',
    {
      config: { access: 'read', limited: 'by-project' },
      exposeHeadRoute: false,
      schema: {
        operationId: 'getLog',
        summary: 'Read or follow the log of a build',
        description:
          'As application/x-ndjson: a BuildEvent on each line. As text/event-stream: the same, with `type` as the name ' +
          'of the event. As text/plain: the bytes of the log.',
        tags: ['logs'],
        params: BuildPath,
        querystring: LogQuery,
        headers: LogHeaders,
        response: {
          200: {
            description: 'The log.',
            content: {
              'text/plain': { schema: Bytes },
              'text/event-stream': { schema: Bytes },
              'application/x-ndjson': { schema: named(BuildEvent, 'One on each line.') },
            },
          },
          204: Type.Null({ description: 'Last-Event-ID was that of `end`: there is nothing more.' }),
          410: problemResponse('The log is gone from the storage. The events say it themselves.'),
          206: { description: 'The range that was asked for.', content: { 'text/plain': { schema: Bytes } } },
        },
      },
    },
    async (request, reply) => {
      const { 'last-event-id': lastEventId, range, accept } = request.headers;
      const { after = 0, follow } = request.query;
      const type = negotiate(accept, Object.keys(formats));
      const format = formats[type ?? ''];
      if (type === undefined || format === undefined) {
        throw new Problem(406, `the log comes as ${Object.keys(formats).join(', ')}`);
      }
      const build = await knownBuild(context, request.params.id, tokenOf(request));
      reply.type(type === 'text/event-stream' ? type : `${type}; charset=utf-8`).headers({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        // Else nginx would gather events before it passes them on.
        'x-accel-buffering': 'no',
      });
      if (format === 'plain')
        return await sendText(context, build, { after, range, follow: follow === '1' }, reply);
      if (lastEventId === endId) return reply.code(204).send(null);
      const from = format === 'event-stream' && lastEventId ? positionOf(lastEventId) : after;
      return reply.send(
        openStream(
          context,
          build.record,
          { format, from, ...(follow === '0' && (await now(context, build.record))) },
          reply,
        ),
      );
    },
  );
}

/** How far the log of a build that goes on has come; nothing of one that is finished, which has an end of its own. */
async function now(
  { redis, reach }: Context,
  record: BuildRecord,
): Promise<{ readonly until?: LogPosition }> {
  if (isFinished(record)) return {};
  return { until: { attempt: record.attempt, offset: await reach(() => bytesSoFar(redis, record)) } };
}

function positionOf(lastEventId: string): LogPosition {
  const position = parseEventId(lastEventId);
  if (position) return position;
  const places = [{ header: 'Last-Event-ID', detail: 'is none that this stream sent' }];
  throw new Problem(400, 'the stream cannot go on there', { places });
}
