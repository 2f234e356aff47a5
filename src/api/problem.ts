import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { ulid } from 'ulid';
import { CronRefusedError } from '../crons.ts';
import { ApprovalError } from '../queue/approval.ts';
import { IdempotencyError } from '../queue/idempotency.ts';
import { QueueStateLostError } from '../queue/scripts.ts';
import { RetryError } from '../queue.ts';
import { BuildFilterError } from '../records/indexes.ts';
import { StorageMissing } from '../storage/missing.ts';
import { UploadGoingError } from '../uploads.ts';
import { VaultError } from '../vault/error.ts';
import { named } from './schema.ts';
import { ProblemPlace, placesOf } from './validation.ts';

/** The body of every error (RFC 9457). `type` is always about:blank: the status says which kind it is. */
export const ProblemDocument = Type.Object(
  {
    type: Type.Literal('about:blank'),
    title: Type.String({ description: 'The phrase of the status.' }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'What is wrong with this request, and what to do.' }),
    requestId: Type.String({ description: 'The X-Request-Id of the response; the log names it too.' }),
    errors: Type.Optional(Type.Array(named(ProblemPlace))),
  },
  { $id: 'Problem', description: 'An error, after RFC 9457.' },
);

const problemType = 'application/problem+json';

/** A response in the OpenAPI document that is a problem. */
export const problemResponse = (description: string) => ({
  description,
  content: { [problemType]: { schema: named(ProblemDocument) } },
});

/** A request that gets an error: its status, what to say, and headers that go with it. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly statusCode: number;
  readonly places: readonly ProblemPlace[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    statusCode: number,
    detail: string,
    more: {
      places?: readonly ProblemPlace[];
      headers?: Readonly<Record<string, string>>;
      cause?: unknown;
    } = {},
  ) {
    super(detail, { cause: more.cause });
    this.statusCode = statusCode;
    this.places = more.places ?? [];
    this.headers = more.headers ?? {};
  }
}

/** The document of a problem. */
function problemDocument(problem: Problem, requestId: string): Static<typeof ProblemDocument> {
  return {
    type: 'about:blank',
    title: STATUS_CODES[problem.statusCode] ?? 'Error',
    status: problem.statusCode,
    detail: problem.message,
    requestId,
    ...(problem.places.length > 0 && { errors: [...problem.places] }),
  };
}

/** Answers a request with what went wrong; the process edge of the API: errors of ours are logged here, once. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error);
  if (problem.statusCode >= 500) request.log.error({ err: problem.cause ?? error }, problem.message);
  sendProblem(problem, request, reply);
}

/** Sends a problem; what is left of the request's body is not waited for. */
export function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): void {
  void reply
    .code(problem.statusCode)
    .headers(problem.headers)
    .type(problemType)
    .send(JSON.stringify(problemDocument(problem, request.id)));
}

/** Redis is away, still loading, full, or not ours to write. */
export function queueUnavailable(cause?: unknown): Problem {
  const detail = 'the queue cannot be reached now; try again in some seconds, with the same Idempotency-Key';
  return new Problem(503, detail, { headers: { 'retry-after': '2' }, cause });
}

/** What Redis answers, or ioredis says, when it is Redis that is not well. */
const redisTrouble = new RegExp(
  '^(OOM|READONLY|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOAUTH|NOPERM|WRONGPASS|MISCONF|NOREPLICAS) |' +
    "^Connection is closed|^Stream isn't writeable|^Command timed out|max retries per request|" +
    '^All sentinels are unreachable|^Failed to refresh slots',
);

/** The problem that an error of any kind is for the user. */
function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof RetryError || error instanceof ApprovalError) {
    return new Problem(error.kind === 'unknown' ? 404 : 409, error.message);
  }
  if (error instanceof CronRefusedError) {
    return new Problem(error.kind === 'unknown' ? 404 : 409, error.message);
  }
  if (error instanceof IdempotencyError) {
    const places = [{ header: 'Idempotency-Key', detail: 'was used for another request' }];
    return new Problem(422, error.message, { places, cause: error });
  }
  if (error instanceof UploadGoingError) {
    return new Problem(503, error.message, { headers: { 'retry-after': '2' }, cause: error });
  }
  if (error instanceof StorageMissing) {
    return new Problem(410, 'the storage does not have it any more', { cause: error });
  }
  // It says what to restore; no secret is in it.
  if (error instanceof VaultError) return new Problem(500, error.message, { cause: error });
  if (error instanceof BuildFilterError) return new Problem(400, error.message, { cause: error });
  if (!(error instanceof Error)) return internal(error);
  if (isRefusal(error)) return refusal(error);
  if (error instanceof QueueStateLostError || redisTrouble.test(error.message))
    return queueUnavailable(error);
  if ('code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) {
    return new Problem(507, 'the storage is full; nothing was kept', { cause: error });
  }
  return internal(error);
}

/** An error of fastify that is the client's fault. */
function isRefusal(error: Error): error is FastifyError & { statusCode: number } {
  return 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500;
}

function refusal(error: FastifyError & { statusCode: number }): Problem {
  const { statusCode, validation, validationContext = 'body', message } = error;
  if (!validation) return new Problem(statusCode, message, { cause: error });
  const places = placesOf(validation, validationContext);
  return new Problem(400, 'the request does not have the required form', { places });
}

const internal = (cause: unknown) =>
  new Problem(500, 'an internal error; the log has more under this request id', { cause });

/** Answers what is no HTTP request at all; there is no reply to send it with. */
export function answerMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (socket.writableEnded || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, detail] = malformed[error.code ?? ''] ?? ([400, 'this is no HTTP request'] as const);
  const body = JSON.stringify(problemDocument(new Problem(status, detail), ulid()));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${problemType}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const malformed: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the headers came too slowly'],
};
