import { createHash } from 'node:crypto';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';
import { startWorker, until } from './worker.ts';

type Json = Readonly<Record<string, unknown>>;

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Json;
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Json }>>;
  readonly description?: string;
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
  readonly security?: readonly Json[];
}

const methods = ['get', 'put', 'post', 'patch', 'delete'] as const;
type Method = (typeof methods)[number];

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Partial<Readonly<Record<Method, Operation>>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>> };
}

const redis = useRedis();
let service: TestService;
let worker: Consumer;
let document: Document;
let operations: { method: Method; path: string; operation: Operation }[];
beforeAll(async () => {
  service = await startService(await redis.connect());
  worker = startWorker(service, async ({ artifact, step, log }) => {
    await step('s', 'passed');
    await log.append('s', Buffer.from('hello\n'));
    await artifact('a/b c', 'content');
    return { status: 'passed' };
  });
  document = (await service.app.inject({ url: '/openapi.json' })).json();
  operations = Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => (item[method] ? [{ method, path, operation: item[method] }] : [])),
  );
});
afterAll(async () => {
  await worker.close();
  await service.stop();
});

describe('the document', () => {
  test('is OpenAPI 3.1 and has every route', () => {
    expect(document.openapi).toBe('3.1.0');
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(names)).toEqual(
      new Set(
        (
          'approveBuild cancelBuild createToken getArtifact getBuild getHealth getLog getMetrics getOpenapi getQueue getReadiness ' +
          'getUpload getVersion listArtifacts listBuilds listTokens listWorkers putUpload retryBuild revokeToken submitBuild ' +
          'addRepository changeRepository changeWebhookSecret getRepository listRepositories listSecrets putSecret ' +
          'removeRepository removeSecret ' +
          'getDelivery getDeliveryBody listDeliveries receiveHook replayDelivery getBadge listCrons putCron removeCron runCron'
        ).split(' '),
      ),
    );
  });

  test('says of every operation what a client needs', () => {
    for (const { method, path, operation } of operations) {
      const where = `${method} ${path}`;
      expect([where, operation.summary !== '' && operation.tags.length > 0]).toEqual([where, true]);
      const named = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      const described = (operation.parameters ?? [])
        .filter((each) => each.in === 'path')
        .map(({ name }) => name);
      expect([where, described]).toEqual([where, named]);
      expect(operation.responses['default']?.content).toEqual({
        'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
      });
      const successes = Object.entries(operation.responses).filter(([status]) => status.startsWith('2'));
      expect([where, successes.length > 0]).toEqual([where, true]);
      for (const [status, { content, description }] of Object.entries(operation.responses)) {
        expect([where, status, description !== undefined && description !== '']).toEqual([
          where,
          status,
          true,
        ]);
        if (content === undefined)
          expect([where, ['204', '304', '200']]).toEqual([where, expect.arrayContaining([status])]);
        for (const { schema } of Object.values(content ?? {})) expect(Object.keys(schema)).not.toEqual([]);
      }
    }
  });

  test('needs a token for all of /v1 but webhooks, and nothing else', () => {
    for (const { path, operation } of operations) {
      expect([path, operation.security !== undefined]).toEqual([path, /^\/v1\/(?!hooks\/)/.test(path)]);
    }
  });

  test('has no reference that leads nowhere, and no schema nobody uses', () => {
    const text = JSON.stringify(document);
    const references = new Set([...text.matchAll(/"\$ref":"([^"]*)"/g)].map(([, reference]) => reference));
    const names = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect(new Set(names)).toEqual(references);
  });

  test('is made of valid schemas', () => {
    const ajv = validators();
    for (const name of Object.keys(document.components.schemas)) {
      expect(() => ajv(`#/components/schemas/${name}`)).not.toThrow();
    }
  });
});

/** Validators of parts of the document, by reference. */
function validators(): (reference: string) => ValidateFunction {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'document');
  return (reference) => ajv.compile({ $ref: `document${reference}` });
}

/** What a client generated from the document does: an operation by its name, its arguments where the document says. */
function createClient(bearer: string) {
  const validate = validators();
  return async (
    operationId: string,
    args: Readonly<Record<string, string>> = {},
    body?: { type: string; value: unknown },
  ) => {
    const found = operations.find((each) => each.operation.operationId === operationId);
    if (!found) throw new Error(`there is no operation ${operationId}`);
    const { method, path, operation } = found;
    let url = path;
    const query = new URLSearchParams();
    const headers: Record<string, string> = { authorization: bearer };
    for (const [name, value] of Object.entries(args)) {
      const parameter = operation.parameters?.find((each) => each.name.toLowerCase() === name);
      if (parameter?.in === 'path')
        url = url.replace(`{${parameter.name}}`, value.split('/').map(encodeURIComponent).join('/'));
      else if (parameter?.in === 'query') query.set(name, value);
      else headers[name] = value;
    }
    if (body) {
      expect(Object.keys(operation.requestBody?.content ?? {})).toContain(body.type);
      headers['content-type'] = body.type;
    }
    const response = await service.app.inject({
      method,
      url: query.size > 0 ? `${url}?${query.toString()}` : url,
      headers,
      ...(body && { payload: Buffer.isBuffer(body.value) ? body.value : JSON.stringify(body.value) }),
    });
    const status =
      String(response.statusCode) in operation.responses ? String(response.statusCode) : 'default';
    const type = /^[^;]*/.exec(response.headers['content-type'] ?? '')?.[0] ?? '';
    const content = operation.responses[status]?.content;
    if (response.body !== '')
      expect([operationId, Object.keys(content ?? {})]).toEqual([
        operationId,
        expect.arrayContaining([type]),
      ]);
    if (/[/+]json$/.test(type)) {
      const pointer = ['paths', path, method, 'responses', status, 'content', type, 'schema'];
      const check = validate(
        `#/${pointer.map((part) => encodeURIComponent(part.replaceAll('/', '~1'))).join('/')}`,
      );
      const value: unknown = response.json();
      expect([operationId, check(value) || check.errors]).toEqual([operationId, true]);
    }
    return response;
  };
}

test('a client made of it can do everything, and every answer is as described', async () => {
  const call = createClient(service.bearer.admin);
  const tar = Buffer.alloc(1024);
  const digest = createHash('sha256').update(tar).digest('hex');
  const upload = { type: 'application/x-tar', value: tar };
  const workflow = 'image: a\nsteps: [{ name: s, commands: [x] }]';
  const submission = {
    project: 'p',
    source: { kind: 'none' },
    workflow,
    labels: {},
    environment: { A: 'b' },
  };

  for (const operation of [
    'getHealth',
    'getReadiness',

    'getVersion',
    'getMetrics',
    'getOpenapi',
    'listWorkers',
  ]) {
    expect([operation, (await call(operation)).statusCode]).toEqual([operation, 200]);
  }
  expect((await call('getUpload', { digest })).statusCode).toBe(404);
  expect((await call('putUpload', { digest }, upload)).statusCode).toBe(201);
  expect((await call('putUpload', { digest }, upload)).statusCode).toBe(200);
  expect((await call('getUpload', { digest })).statusCode).toBe(200);
  expect((await call('submitBuild', { project: 'p' }, upload)).statusCode).toBe(202);
  const made = await call(
    'submitBuild',
    { 'idempotency-key': 'k' },
    { type: 'application/json', value: submission },
  );
  const { id } = made.json<{ id: string }>();
  await until(async () => (await service.records.get(id))?.record.status === 'passed');
  const waiting = { ...submission, labels: { arch: 'none' }, notBefore: '2100-01-01T00:00:00Z', group: 'g' };
  const second = await call('submitBuild', {}, { type: 'application/json', value: waiting });
  const other = second.json<{ id: string }>().id;
  for (const each of [id, other]) {
    expect((await call('getBuild', { id: each })).statusCode).toBe(200);
    expect((await call('listArtifacts', { id: each })).statusCode).toBe(200);
  }
  expect((await call('listBuilds', { status: 'passed', limit: '1' })).json()).toMatchObject({
    builds: [{ status: 'passed' }],
  });
  expect((await call('getQueue')).json()).toMatchObject({ delayed: 1 });
  expect((await call('getArtifact', { id, '*': 'a/b c' })).body).toBe('content');
  for (const accept of ['text/plain', 'text/event-stream', 'application/x-ndjson']) {
    expect((await call('getLog', { id, accept })).body).toContain('hello');
  }
  const isEvent = validators()('#/components/schemas/BuildEvent');
  const lines = (await call('getLog', { id, accept: 'application/x-ndjson' })).body.trimEnd().split('\n');
  expect(lines.map((line): unknown => JSON.parse(line).type)).toEqual(['status', 'step', 'log', 'end']);
  for (const line of lines) {
    const event: unknown = JSON.parse(line);
    expect([line, isEvent(event) || isEvent.errors]).toEqual([line, true]);
  }
  expect((await call('cancelBuild', { id: other })).json()).toMatchObject({ status: 'canceled' });
  expect((await call('retryBuild', { id: other })).statusCode).toBe(202);
  expect((await call('submitBuild', {}, { type: 'application/json', value: {} })).statusCode).toBe(400);

  const json = (value: unknown) => ({ type: 'application/json', value });
  const repository = { url: 'https://github.com/acme/app.git', forge: 'github' };
  const added = await call('addRepository', {}, json(repository));
  expect(added.statusCode).toBe(201);
  const { webhookSecret } = added.json<{ webhookSecret: string }>();
  const path = { '*': 'acme/app' };
  expect((await call('getRepository', path)).statusCode).toBe(200);
  expect((await call('changeRepository', path, json({ concurrency: 2 }))).statusCode).toBe(200);
  expect((await call('listRepositories')).body).toContain('acme/app');
  const rotated = await call('changeWebhookSecret', { name: 'acme%2Fapp' }, json({ step: 'replace' }));
  expect(rotated.json<{ secret: string }>().secret).not.toBe(webhookSecret);
  const secretPath = { scope: 'organization', owner: 'acme', name: 'NPM_TOKEN' };
  expect((await call('putSecret', secretPath, json({ value: 'very secret' }))).statusCode).toBe(200);
  expect((await call('listSecrets')).body).toContain('NPM_TOKEN');
  expect((await call('removeSecret', secretPath)).statusCode).toBe(204);
  const commit = { source: { kind: 'git', repository: 'acme/app' } };
  expect((await call('submitBuild', {}, json(commit))).statusCode).toBe(202);
  const cron = { repository: 'acme/app', name: 'nightly' };
  expect((await call('putCron', cron, json({ schedule: '0 3 * * *' }))).statusCode).toBe(200);
  expect((await call('listCrons')).body).toContain('nightly');
  expect((await call('runCron', cron)).statusCode).toBe(202);
  expect((await call('removeCron', cron)).statusCode).toBe(204);
  for (const ending of ['svg', 'json']) {
    expect((await call('getBadge', { '*': `acme/app.${ending}`, branch: 'main' })).statusCode).toBe(200);
  }
  expect((await call('removeRepository', path)).statusCode).toBe(204);

  const token = await call(
    'createToken',
    {},
    { type: 'application/json', value: { name: 'ci', scopes: ['read'] } },
  );
  expect(token.statusCode).toBe(201);
  const { id: tokenId, secret } = token.json<{ id: string; secret: string }>();
  expect((await createClient(`Bearer ${secret}`)('listBuilds')).statusCode).toBe(200);
  expect((await createClient(`Bearer ${secret}`)('listTokens')).statusCode).toBe(403);
  expect((await call('listTokens')).body).not.toContain(secret);
  expect((await call('revokeToken', { id: tokenId })).statusCode).toBe(204);
  expect((await createClient(`Bearer ${secret}`)('listBuilds')).statusCode).toBe(401);
});
