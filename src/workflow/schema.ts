import type { XStatic } from 'typebox/schema';
import { environment, secretFiles, stepEnvironment } from './environment-schema.ts';

/**
 * The workflow file's shape: the one source of the validator, of the types and of the published JSON Schema
 * (draft-07, which every editor knows). Titles and examples also make the error messages: "must be a TITLE such as
 * EXAMPLE". Ranges of sizes and durations, and what needs more than one key to judge, are checked in assemble.ts.
 *
 * Plain data, with typebox for the types alone: building it with typebox takes 50 ms of every `cofferdam run`.
 *
 * Text that ends up in argv or the environment cannot hold NUL; one environment entry cannot exceed 128 KiB
 * (MAX_ARG_STRLEN of Linux), which 32,000 characters never do, nor a secret.
 */

const image = {
  type: 'string',
  title: 'image reference',
  description: 'What the commands run in: an OCI image, bootstrap:SUITE+PACKAGE,…, or an imported name.',
  examples: ['node:24', 'bootstrap:bookworm+make'],
  pattern: '^[!-,.-~][!-~]*$',
  maxLength: 1024,
} as const;

const name = {
  type: 'string',
  title: 'name',
  description: 'Shown in the log and the record; unique in the file.',
  pattern: '^\\P{Cc}+$',
  maxLength: 100,
} as const;

const command = {
  type: 'string',
  title: 'command',
  description: 'One or more lines of shell.',
  examples: ['make test'],
  pattern: '^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$',
} as const;

const commands = {
  anyOf: [command, { type: 'array', items: command, minItems: 1 }],
  title: 'command or list of commands',
  description: 'Run one after another in one shell with `set -e`; the first that fails ends the step.',
} as const;

const status = { type: 'string', enum: ['success', 'failure'] } as const;

const condition = {
  type: 'object',
  title: 'condition',
  additionalProperties: false,
  properties: {
    status: {
      anyOf: [status, { type: 'array', items: status, minItems: 1 }],
      title: 'status (success or failure) or list of these',
      description: 'States of the build so far in which the step runs. Default: success.',
    },
  },
} as const;

export const stepSchema = {
  type: 'object',
  title: 'step',
  description: 'Commands in a container. Steps with no image of their own share one container.',
  required: ['commands'],
  additionalProperties: false,
  properties: {
    name,
    image,
    commands,
    environment: stepEnvironment,
    secrets: secretFiles,
    failure: {
      type: 'string',
      enum: ['fail', 'ignore'],
      description: 'ignore: the build goes on as if the step had passed. Default: fail.',
    },
    when: {
      anyOf: [condition, { type: 'array', items: condition, minItems: 1 }],
      title: 'condition or list of conditions',
      description: 'The step runs when one of the conditions holds. Default: while the build has not failed.',
    },
  },
} as const;

const size = {
  anyOf: [
    {
      type: 'string',
      title: 'size',
      examples: ['4GiB', '512MiB', '2GB'],
      pattern: '^[0-9]+(\\.[0-9]+)? ?([kKMGT]B|[KMGT]iB|B)?$',
      maxLength: 32,
    },
    { type: 'integer' },
  ],
  title: 'size',
  examples: ['4GiB', '512MiB', '2GB'],
} as const;

const resources = {
  type: 'object',
  title: 'map of limits',
  description: 'Hard limits of the whole build.',
  additionalProperties: false,
  properties: {
    cpus: {
      type: 'number',
      title: 'number of processors',
      description: 'Processor time per time; 1.5 is one and a half processors. Default: 2.',
      minimum: 0.01,
      maximum: 1024,
    },
    memory: { ...size, description: 'At least 32MiB. Default: 4GiB.' },
    disk: { ...size, description: 'All that the build writes; at least 1MiB. Default: 10GiB.' },
    pids: {
      type: 'integer',
      title: 'whole number',
      description: 'Processes and threads at one time. Default: 1024.',
      minimum: 8,
      maximum: 4_194_304,
    },
  },
} as const;

const glob = {
  type: 'string',
  title: 'pattern of paths',
  description: 'Relative to the workspace; *, **, ?, [a-z] and {a,b} as in a shell.',
  examples: ['dist/**', '*.deb'],
  maxLength: 1024,
} as const;

const globs = {
  anyOf: [glob, { type: 'array', items: glob, minItems: 1 }],
  title: 'pattern of paths or list of patterns',
  examples: ['dist/**', '*.deb'],
} as const;

const artifact = {
  anyOf: [
    glob,
    {
      type: 'object',
      title: 'artifact',
      additionalProperties: false,
      properties: {
        path: globs,
        paths: globs,
        when: {
          type: 'string',
          enum: ['always', 'success', 'failure'],
          description: 'Builds after which these files are kept. Default: success.',
        },
      },
    },
  ],
  title: 'pattern of paths or map with path and when',
} as const;

const stepReference = { $ref: '#/definitions/step' } as const;

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
    steps: {
      anyOf: [
        { type: 'array', items: stepReference, minItems: 1 },
        { type: 'object', additionalProperties: stepReference, minProperties: 1, propertyNames: name },
      ],
      title: 'list of steps or map of names to steps',
      description: 'Run in the order of the file.',
    },
    environment,
    timeout: {
      type: 'string',
      title: 'duration',
      description: 'How long the whole build may take; 1s to 168h. Default: 1h.',
      examples: ['30m', '1h30m', '90s'],
      pattern: '^(?=.)([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$',
    },
    resources,
    network: {
      type: 'string',
      enum: ['none'],
      title: 'network class',
      description: 'none: only the loopback interface.',
    },
    artifacts: {
      anyOf: [artifact, { type: 'array', items: artifact }],
      title: 'pattern of paths or list of patterns',
      description: 'Files of the workspace to keep after the build.',
      examples: ['dist/**', '*.deb'],
    },
  },
  definitions: { step: stepSchema },
} as const;

export type WorkflowFile = XStatic<typeof workflowSchema>;
export type StepFile = XStatic<typeof stepSchema>;
