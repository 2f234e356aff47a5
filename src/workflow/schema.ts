import type { XStatic } from 'typebox/schema';
import { environment } from './environment-schema.ts';
import { caches, network, resources } from './sandbox-schema.ts';
import { serviceSchema } from './service-schema.ts';
import { stepSchema } from './step-schema.ts';
import { artifacts, dependencies, duration, flag, image, name, packages, path } from './value-schema.ts';
import { workflowWhenSchema } from './when-schema.ts';

/**
 * The workflow file's shape: the one source of the validator, of the types and of the published JSON Schema
 * (draft-07, which every editor knows). Titles and examples also make the error messages: "must be a TITLE such as
 * EXAMPLE". Ranges of sizes and durations, and what needs more than one key to judge, are checked where plans are made.
 *
 * Plain data, with typebox for the types alone: building it with typebox takes 50 ms of every `cofferdam run`.
 *
 * Text that ends up in argv or the environment cannot hold NUL; one environment entry cannot exceed 128 KiB
 * (MAX_ARG_STRLEN of Linux), which 32,000 characters never do, nor a secret.
 */

const scalars = [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }] as const;
const matrixValue = { anyOf: scalars, title: 'value (text, number or boolean)' } as const;
const variable = {
  title: 'name of letters, digits and _ that does not begin with a digit',
  pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
  maxLength: 100,
} as const;

const matrix = {
  type: 'object',
  title: 'matrix',
  description: 'The workflow runs once for each combination of these values.',
  minProperties: 1,
  propertyNames: variable,
  properties: {
    include: {
      type: 'array',
      title: 'list of combinations',
      description: 'Only these combinations.',
      minItems: 1,
      items: {
        type: 'object',
        title: 'combination',
        minProperties: 1,
        propertyNames: variable,
        additionalProperties: matrixValue,
      },
    },
  },
  additionalProperties: { type: 'array', title: 'list of values', items: matrixValue, minItems: 1 },
} as const;

const label = {
  anyOf: [
    { type: 'string', title: 'label', pattern: '^[A-Za-z0-9._/*-]{0,100}$', examples: ['linux/arm64'] },
    { type: 'number' },
    { type: 'boolean' },
  ],
  title: 'label (letters, digits, ., _, / and -)',
} as const;

const limit = { type: 'integer', title: 'whole number', minimum: 1, maximum: 10_000 } as const;

const steps = { $ref: '#/definitions/step' } as const;
const service = { $ref: '#/definitions/service' } as const;

/** Printed by `cofferdam schema`. */
export const workflowSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'workflow',
  description: 'A Cofferdam workflow file: .cofferdam.yaml.',
  type: 'object',
  required: ['steps'],
  additionalProperties: false,
  properties: {
    $schema: { type: 'string', title: 'URL', description: 'For editors; has no effect.' },
    image,
    packages,
    steps: {
      anyOf: [
        { type: 'array', items: steps, minItems: 1, maxItems: 1000 },
        {
          type: 'object',
          additionalProperties: steps,
          minProperties: 1,
          maxProperties: 1000,
          propertyNames: name,
        },
      ],
      title: 'list of steps or map of names to steps',
      description: 'Run in the order of the file, or as `depends_on` says.',
    },
    services: {
      anyOf: [
        { type: 'array', items: service, maxItems: 100 },
        { type: 'object', additionalProperties: service, propertyNames: serviceSchema.properties.name },
      ],
      title: 'list of services or map of names to services',
      description: 'Run beside the steps, such as a database.',
    },
    when: workflowWhenSchema,
    depends_on: {
      ...dependencies,
      description: 'Workflows, by the names of their files, that must have ended before.',
    },
    needs: { ...dependencies, description: 'Another name of `depends_on`.' },
    matrix,
    environment,
    timeout: { ...duration, description: 'How long the whole workflow may take; 1s to 168h. Default: 1h.' },
    resources,
    network,
    caches,
    artifacts,
    labels: {
      type: 'object',
      title: 'map of labels',
      description: 'What a worker must have to run it.',
      additionalProperties: label,
      propertyNames: { title: 'label', pattern: '^[A-Za-z0-9._/-]{1,100}$' },
      maxProperties: 20,
    },
    concurrency: {
      anyOf: [
        limit,
        {
          type: 'object',
          title: 'concurrency',
          required: ['limit'],
          additionalProperties: false,
          properties: {
            limit,
            group: { type: 'string', title: 'name', description: 'Default: this workflow.', maxLength: 200 },
          },
        },
      ],
      title: 'number, or map with limit and group',
      description: 'How many runs of the workflow, or of a group, there may be at one time.',
    },
    retry: {
      type: 'object',
      title: 'retry',
      description: 'What happens after failures of the platform.',
      additionalProperties: false,
      properties: {
        max: {
          type: 'integer',
          title: 'whole number',
          description: 'Further tries. Default: 2.',
          minimum: 0,
          maximum: 3,
        },
        when: {
          type: 'array',
          title: 'list of reasons',
          items: { type: 'string', enum: ['infrastructure'] },
          minItems: 1,
          description: 'Only infrastructure: what failed by its own fault fails again.',
        },
      },
    },
    parallel: { ...limit, description: 'Steps at one time. Default: as many as can.' },
    workspace: {
      type: 'object',
      title: 'workspace',
      description: 'Where the source is in the containers: base/path. Default: /workspace.',
      additionalProperties: false,
      properties: { base: path, path },
    },
    clone: {
      anyOf: [
        {
          type: 'object',
          title: 'map of clone steps',
          additionalProperties: false,
          properties: { git: { type: 'object', title: 'clone step' } },
        },
        {
          type: 'array',
          items: { type: 'object', title: 'clone step', properties: { name }, additionalProperties: {} },
        },
      ],
      title: 'clone step',
      description: "Of Woodpecker's; the worker checks the source out itself.",
    },
    skip_clone: { ...flag, description: 'true: the workspace begins empty.' },
    runs_on: {
      type: 'array',
      title: 'list of states',
      items: { type: 'string', enum: ['success', 'failure'] },
      description: 'The old name of `when.status`.',
    },
    variables: { description: 'A place for YAML anchors; has no effect.' },
    anchors: { description: 'A place for YAML anchors; has no effect.' },
  },
  definitions: { step: stepSchema, service: serviceSchema },
} as const;

export type WorkflowFile = XStatic<typeof workflowSchema>;
export type StepFile = XStatic<typeof stepSchema>;
export type ServiceFile = XStatic<typeof serviceSchema>;
