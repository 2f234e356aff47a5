import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import type { TSchema } from 'typebox';
import { Type } from 'typebox';
import { ArtifactList } from './artifacts.ts';
import { BadgeSchema } from './badge.ts';
import { BuildPage } from './builds.ts';
import { cronSchemas } from './cron-job.ts';
import { deliverySchemas } from './deliveries.ts';
import { eventSchemas } from './events.ts';
import { Health, Version } from './health.ts';
import { ProblemDocument, problemResponse } from './problem.ts';
import { recordSchemas } from './record.ts';
import { repositorySchemas } from './repository.ts';
import { secretSchemas } from './secrets.ts';
import type { App } from './service.ts';
import { Submission } from './submission.ts';
import { tokenSchemas } from './tokens.ts';
import { Upload } from './uploads.ts';
import { defineSchema, ProblemPlace } from './validation.ts';
import { webhookSchemas } from './webhook.ts';
import { workerSchemas } from './workers.ts';

const components: readonly TSchema[] = [
  ...recordSchemas,
  ...eventSchemas,
  ArtifactList,
  BadgeSchema,
  BuildPage,
  Health,
  ProblemDocument,
  ProblemPlace,
  Submission,
  Upload,
  Version,
  ...deliverySchemas,
  ...tokenSchemas,
  ...repositorySchemas,
  ...webhookSchemas,
  ...secretSchemas,
  ...cronSchemas,
  ...workerSchemas,
];

/** Collects the OpenAPI 3.1 document from the routes that are added after it. */
export async function describeApi(app: FastifyInstance, version: string): Promise<void> {
  for (const schema of components) {
    defineSchema(schema);
    app.addSchema(schema);
  }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Cofferdam',
        version,
        description: 'Runs builds in throwaway sandboxes. Every error is a Problem (RFC 9457).',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'builds', description: 'What is built, and what came of it.' },
        { name: 'logs', description: 'What builds wrote.' },
        { name: 'artifacts', description: 'What builds left.' },
        { name: 'uploads', description: 'Working trees.' },
        { name: 'hooks', description: 'What happens on forges.' },
        { name: 'repositories', description: 'What git servers and forges have.' },
        { name: 'secrets', description: 'What builds may have; values go in and never come out.' },
        { name: 'tokens', description: 'Who may do what.' },
        { name: 'service', description: 'The service itself.' },
      ],
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'A token: cof_…' },
        },
      },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json['$id'] === 'string' ? json['$id'] : `def-${index}`,
    },
  });
  app.addHook('onRoute', (route) => {
    const access = route.config?.access;
    if (!route.schema || route.schema.hide) return;
    route.schema = {
      ...route.schema,
      ...(access !== 'none' && {
        security: [{ token: [] }],
        description: scopeNote(route.schema.description, access),
      }),
      response: {
        ...Object(route.schema.response),
        default: problemResponse('What went wrong.'),
      },
    };
  });
}

/** `/openapi.json`. */
export function openapi(app: App): void {
  app.get(
    '/openapi.json',
    {
      config: { access: 'none' },
      schema: {
        operationId: 'getOpenapi',
        summary: 'Describe this API',
        tags: ['service'],
        response: {
          200: Type.Unsafe<object>({ type: 'object', description: 'An OpenAPI 3.1 document.' }),
        },
      },
    },
    () => app.swagger(),
  );
}

const scopeNote = (description: string | undefined, access = '') =>
  [description, `Needs the scope \`${access}\`.`].filter(Boolean).join(' ');
