import type { XStatic } from 'typebox/schema';

/** The shape of `when`: of steps, and of whole workflows. Plain data, as schema.ts says why. */

const pattern = { type: 'string', title: 'pattern', maxLength: 1024 } as const;

const patterns = {
  anyOf: [pattern, { type: 'array', items: pattern }],
  title: 'pattern or list of patterns',
} as const;

const constraint = {
  anyOf: [
    pattern,
    { type: 'array', items: pattern },
    {
      type: 'object',
      title: 'map with include and exclude',
      additionalProperties: false,
      properties: { include: patterns, exclude: patterns },
    },
  ],
  title: 'pattern, list of patterns or map with include and exclude',
  examples: ['main', 'release/*'],
} as const;

export const events = [
  'push',
  'pull_request',
  'pull_request_closed',
  'pull_request_metadata',
  'tag',
  'release',
  'deployment',
  'cron',
  'manual',
] as const;

const event = { type: 'string', enum: events } as const;

const status = { type: 'string', enum: ['success', 'failure'] } as const;

const values = {
  type: 'object',
  additionalProperties: { anyOf: [pattern, { type: 'number' }, { type: 'boolean' }] },
} as const;

const common = {
  event: {
    anyOf: [event, { type: 'array', items: event }],
    title: 'event or list of events',
    description: 'What made the build.',
    examples: ['push'],
  },
  branch: {
    ...constraint,
    description: 'The branch; of a pull request the target branch. Not looked at for tags.',
  },
  ref: { ...constraint, description: 'The full ref, such as refs/tags/v1.' },
  tag: { ...constraint, description: 'The tag; what is no tag matches none.' },
  repo: { ...constraint, description: 'The repository, such as owner/name.' },
  platform: { ...constraint, description: 'The platform of the worker, such as linux/amd64.' },
  instance: { ...constraint, description: 'The host name of the service.' },
  cron: { ...constraint, description: 'The name of the cron job; looked at for cron builds only.' },
  path: {
    anyOf: [
      pattern,
      { type: 'array', items: pattern },
      {
        type: 'object',
        title: 'map with include and exclude',
        additionalProperties: false,
        properties: {
          include: patterns,
          exclude: patterns,
          ignore_message: { type: 'string', description: 'In the commit message: paths are not looked at.' },
          on_empty: { type: 'boolean', description: 'Whether it holds when no file changed. Default: true.' },
        },
      },
    ],
    title: 'pattern, list of patterns or map with include and exclude',
    description: 'Changed files; looked at for pushes and pull requests only.',
  },
  evaluate: {
    type: 'string',
    title: 'expression',
    maxLength: 10_000,
    description: 'Holds when the expression on CI_ variables is true.',
    examples: ['CI_COMMIT_BRANCH == "main"'],
  },
  status: {
    anyOf: [status, { type: 'array', items: status, minItems: 1 }],
    title: 'status (success or failure) or list of these',
    description: 'States so far in which it runs. Default: success.',
  },
} as const;

/** `local: false` was Woodpecker's way to keep a step off local runs. */
const local = { type: 'boolean', description: 'false: not with `cofferdam run`.' } as const;

const condition = {
  type: 'object',
  title: 'condition',
  additionalProperties: false,
  properties: {
    ...common,
    local,
    matrix: {
      anyOf: [
        {
          type: 'object',
          additionalProperties: false,
          properties: { include: values, exclude: values },
        },
        values,
      ],
      title: 'map of matrix variables to patterns',
      description: 'The combination of the matrix.',
    },
  },
} as const;

const workflowCondition = {
  type: 'object',
  title: 'condition',
  additionalProperties: false,
  properties: { ...common, local },
} as const;

/** `when` of a step. */
export const stepWhenSchema = {
  anyOf: [condition, { type: 'array', items: condition, minItems: 1 }],
  title: 'condition or list of conditions',
  description: 'It runs when one of the conditions holds; a condition holds when all its parts do.',
} as const;

/** `when` of a workflow. */
export const workflowWhenSchema = {
  ...stepWhenSchema,
  anyOf: [workflowCondition, { type: 'array', items: workflowCondition, minItems: 1 }],
} as const;

export type ConditionFile = XStatic<typeof condition>;
