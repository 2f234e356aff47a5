import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { join } from 'node:path';
import { type FastifyBaseLogger, fastify, LogController } from 'fastify';
import type { Logger } from 'pino';
import { ulid } from 'ulid';
import { artifacts } from './artifacts.ts';
import { requireTokens } from './auth.ts';
import { redisReach } from './availability.ts';
import { badges } from './badge.ts';
import { defaultPace, guardBodies, type Pace } from './body.ts';
import { builds } from './builds.ts';
import { crons } from './crons.ts';
import { deliveries } from './deliveries.ts';
import { onFinished } from './finished.ts';
import { health } from './health.ts';
import { hooks } from './hooks.ts';
import { createLogHub } from './hub.ts';
import { logs } from './logs.ts';
import { shareLookups } from './lookup.ts';
import { metrics } from './metrics.ts';
import { describeApi, openapi } from './openapi.ts';
import { answerError, answerMalformed, Problem, sendProblem } from './problem.ts';
import { limitRates } from './rate.ts';
import type { App, Context, Service } from './service.ts';
import { closeGracefully } from './closing.ts';
import { publicUrlOf } from './public-url.ts';
import { repositories } from './repositories.ts';
import { secrets } from './secrets.ts';
import { submit } from './submit.ts';
import { tarTypes } from './tarball.ts';
import { tokens } from './tokens.ts';
import { uploads } from './uploads.ts';
import { validatorCompiler } from './validation.ts';
import { watchRecords } from './watch.ts';
import { webhookSecret } from './webhook-secret.ts';
import { workers } from './workers.ts';

export interface ServerOptions {
  /** For files that wait for their digest; `spool` in it is made. */
  readonly dataDir: string;
  readonly version: string;
  readonly logger: Logger;
  readonly uploadMaxBytes: number;
  /** Requests a minute for each token, and for each address without a valid one. */
  readonly rateLimit: number;
  readonly pace?: Pace;
  /** Where others reach the API; default: where it listens. */
  readonly publicUrl?: string | undefined;
  /** How long a stream may be silent; default 15 s. */
  readonly heartbeatMs?: number;
  /** How long close() waits for requests under way; default 10 s. Streams end at once. */
  readonly graceMs?: number;
}

/** A JSON body; an upload has a limit of its own. */
const bodyLimit = 2 * 1024 ** 2;

/** Requests must be answered within a second also when Redis hangs; some make two calls. */
const patienceMs = 450;

/**
 * The HTTP API, ready to listen or to be injected requests. `close()` ends open streams and lets other requests
 * finish; what it stands on stays open.
 */
export async function createServer(service: Service, options: ServerOptions): Promise<App> {
  const loggerInstance: FastifyBaseLogger = options.logger;
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit,
    routerOptions: { maxParamLength: 4096 },
    forceCloseConnections: 'idle',
    genReqId: ({ headers: { 'x-request-id': given } }) =>
      typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : ulid(),
    http: { headersTimeout: 10_000, requestTimeout: 0, connectionsCheckingInterval: 5000 },
    clientErrorHandler: answerMalformed,
    frameworkErrors: (error, request, reply) => answerError(error, request, reply),
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  // The response schemas are the contract; the tests hold the answers to them.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler(answerError);
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method, url } = request;
    request.log.info({ method, url, status: reply.statusCode, ms: reply.elapsedTime }, 'answered');
    done();
  });
  // Fastify's own; no schema describes it, so a route that takes several types would get it unchecked.
  app.removeContentTypeParser('text/plain');
  for (const type of tarTypes) app.addContentTypeParser(type, (_request, body, done) => done(null, body));

  const reach = redisReach(service.redis, patienceMs);
  // A thousand who follow one build with one token ask Redis for both some times, and not two thousand times.
  const known: Service = {
    ...service,
    tokens: { ...service.tokens, verify: shareLookups((secret) => service.tokens.verify(secret)) },
    records: { ...service.records, get: shareLookups((id) => service.records.get(id)) },
  };
  const context: Context = {
    ...known,
    reach,
    streams: closeGracefully(app, options.graceMs ?? 10_000),
    hub: createLogHub(service.logs),
    watch: watchRecords(known.records),
    publicUrl: () => options.publicUrl ?? publicUrlOf(app.server.address()),
    spoolDir: join(options.dataDir, 'spool'),
    uploadMaxBytes: options.uploadMaxBytes,
    heartbeatMs: options.heartbeatMs ?? 15_000,
  };
  guardBodies(app, options.pace ?? defaultPace);
  await describeApi(app, options.version);
  const countStranger = await limitRates(app, options.rateLimit);
  requireTokens(app, { tokens: known.tokens, reach, countStranger });
  app.setNotFoundHandler((request, reply) => {
    sendProblem(
      new Problem(404, `there is no ${request.method} ${request.url.slice(0, 200)}`),
      request,
      reply,
    );
  });

  for (const resource of [
    builds,
    submit,
    logs,
    artifacts,
    uploads,
    hooks,
    deliveries,
    tokens,
    workers,
    repositories,
    webhookSecret,
    secrets,
    crons,
    badges,
  ])
    resource(app, context);
  health(app, context, options.version);
  openapi(app);
  const stopCounting = onFinished(service, metrics(app, context));
  app.addHook('onClose', (_app, done) => {
    stopCounting();
    done();
  });
  await app.ready();
  return app;
}
