import type { BuildRecord, ServiceRecord, StepRecord } from '../build.ts';
import { codeOf, type Http, UnreachableError } from './http.ts';
import { eventsOf, type ServerSentEvent } from './sse.ts';

/** What happens to a build, as it happens. */
export type BuildEvent =
  /** `offset`: bytes of the attempt's log before it; `cutBytes`: so many that the build wrote before are missing. */
  | {
      readonly type: 'log';
      readonly attempt: number;
      readonly offset: number;
      /** Undefined: a part of the log that belongs to no workflow. */
      readonly workflow?: string;
      readonly step: string;
      readonly data: Buffer;
      readonly cutBytes?: number;
    }
  | { readonly type: 'step'; readonly workflow: string; readonly step: StepRecord }
  | { readonly type: 'service'; readonly workflow: string; readonly service: ServiceRecord }
  | { readonly type: 'status'; readonly status: BuildRecord['status']; readonly attempt: number }
  /** The rest of the log is lost; `detail` says from where on. */
  | { readonly type: 'gap'; readonly detail: string }
  /** The connection is gone; what follows takes up where it broke off. */
  | { readonly type: 'interrupted'; readonly why: string }
  | { readonly type: 'end'; readonly record: BuildRecord };

/** The service sent what cannot be understood; the message says what. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** The service breaks silence every 15 s; a connection that is silent for longer is dead without knowing it. */
const silenceMs = 45_000;

/**
 * Follows a build until it ends: every byte of its log once and in order, however often the connection breaks; the
 * service is asked again from the last event on. Throws UnreachableError, RefusedError, ProtocolError.
 * @param signal ends it without `end`
 * @param reach `now`: of a build that goes on only what there is now; then it ends without `end`
 */
export async function* followBuild(
  http: Http,
  id: string,
  signal: AbortSignal,
  reach: 'end' | 'now' = 'end',
): AsyncGenerator<BuildEvent> {
  let position = { attempt: 0, offset: 0 };
  let lastEventId: string | undefined;
  while (!signal.aborted) {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new Error('silence')), silenceMs);
    try {
      const { body } = await http({
        method: 'GET',
        path: `/v1/builds/${id}/logs`,
        query: { follow: reach === 'now' ? '0' : undefined },
        headers: {
          accept: 'text/event-stream',
          ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
        },
        signal: AbortSignal.any([signal, silence.signal]),
      });
      for await (const event of eventsOf(touching(body, timer))) {
        const known = buildEventOf(event);
        if (event.lastEventId !== '') lastEventId = event.lastEventId;
        if (known?.type === 'log') {
          // When the platform tries a build again, its log begins anew.
          if (known.attempt > position.attempt) position = { attempt: known.attempt, offset: 0 };
          const { offset } = position;
          if (known.attempt < position.attempt || known.offset + known.data.length <= offset) continue;
          if (known.offset > offset) {
            throw new ProtocolError(`the log of ${id} goes on at byte ${known.offset}, not at ${offset}`);
          }
          const { cutBytes, ...entry } = {
            ...known,
            offset,
            data: known.data.subarray(offset - known.offset),
          };
          position = { attempt: known.attempt, offset: offset + entry.data.length };
          yield { ...entry, ...(known.offset === offset && cutBytes !== undefined && { cutBytes }) };
        } else if (known) yield known;
        if (known?.type === 'end') return;
      }
      if (reach === 'now') return;
      if (!signal.aborted) yield { type: 'interrupted', why: 'the service closed the connection' };
    } catch (error) {
      if (signal.aborted) return;
      if (!isBroken(error) && !silence.signal.aborted) throw error;
      yield {
        type: 'interrupted',
        why: silence.signal.aborted ? 'the connection went silent' : codeOf(error),
      };
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The body of a response broke off; what kept a request from being answered has been tried again before. */
function isBroken(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    (error instanceof Error && !(error instanceof UnreachableError) && codeOf(error) !== 'unknown')
  );
}

async function* touching(
  body: AsyncIterable<Uint8Array> | null,
  timer: NodeJS.Timeout,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body ?? []) {
    timer.refresh();
    yield chunk;
  }
}

/** Undefined for events of a kind that a newer service may have. What it sends has the form that it documents. */
function buildEventOf({ type, data }: ServerSentEvent): BuildEvent | undefined {
  switch (type) {
    case 'log': {
      const event: LogData = JSON.parse(data);
      const { text, base64 = '', ...entry } = event;
      const bytes = text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text, 'utf8');
      return { type, ...entry, data: bytes };
    }
    case 'step': {
      const { workflow, ...step }: StepRecord & { workflow: string } = JSON.parse(data);
      return { type, workflow, step };
    }
    case 'service': {
      const { workflow, ...service }: ServiceRecord & { workflow: string } = JSON.parse(data);
      return { type, workflow, service };
    }
    case 'status': {
      const event: Pick<BuildRecord, 'status' | 'attempt'> = JSON.parse(data);
      return { type, ...event };
    }
    case 'gap': {
      const event: { detail: string } = JSON.parse(data);
      return { type, detail: event.detail };
    }
    case 'end': {
      const event: { record: BuildRecord } = JSON.parse(data);
      return { type, ...event };
    }
    default:
      return undefined;
  }
}

/** Bytes that are UTF-8 come as `text`, others as `base64`. */
interface LogData {
  readonly attempt: number;
  readonly offset: number;
  readonly workflow?: string;
  readonly step: string;
  readonly cutBytes?: number;
  readonly text?: string;
  readonly base64?: string;
}
