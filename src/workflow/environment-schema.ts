import type { XStatic } from 'typebox/schema';

/** The part of the workflow's schema that says what is in a step's environment; see schema.ts. */

const values = {
  anyOf: [
    { type: 'string', title: 'text without NUL', pattern: '^[^\\u0000]*$', maxLength: 32_000 },
    { type: 'number' },
    { type: 'boolean' },
    { type: 'null' },
    { type: 'array' },
    { type: 'object' },
  ],
  title: 'value',
} as const;

const variableName = {
  title: 'name of letters, digits and _ that does not begin with a digit',
  pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
  maxLength: 1000,
} as const;

const variableList = {
  type: 'array',
  items: {
    type: 'string',
    title: 'variable',
    examples: ['KEY=value'],
    pattern: '^[A-Za-z_][A-Za-z0-9_]*=[^\\u0000]*$',
    maxLength: 32_000,
  },
} as const;

export const environment = {
  anyOf: [
    {
      type: 'object',
      additionalProperties: values,
      propertyNames: variableName,
    },
    variableList,
  ],
  title: 'map of variables or list of KEY=value',
  description: 'Environment variables of all steps.',
  examples: [{ CI_VERBOSE: '1' }],
} as const;

const secretName = {
  type: 'string',
  title: 'name of a secret',
  description: 'As `cofferdam secret set` or `cofferdam run --secret` calls it.',
  examples: ['deploy_token'],
  pattern: '^[A-Za-z0-9_][A-Za-z0-9_-]*$',
  maxLength: 100,
} as const;

export const stepEnvironment = {
  anyOf: environment.anyOf,
  title: 'map of variables or list of KEY=value',
  description:
    "Environment variables; they win over the workflow's. `{ from_secret: NAME }` is a secret's value; lists and maps " +
    'are written as for `settings`.',
  examples: [{ DEPLOY_TOKEN: { from_secret: 'deploy_token' } }],
} as const;

export const secretFiles = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    title: 'secret file',
    required: ['from_secret'],
    additionalProperties: false,
    properties: {
      from_secret: secretName,
      path: {
        type: 'string',
        title: 'path of a file in /run/secrets',
        description: 'Default: /run/secrets/ and the name of the secret.',
        examples: ['/run/secrets/id_ed25519'],
        pattern: '^/run/secrets/(?![.]{1,2}$)[A-Za-z0-9._-]+$',
        maxLength: 200,
      },
    },
  },
  title: 'list of secret files',
  description: 'Secrets as files, which only this step sees and which are in memory alone.',
  examples: [[{ from_secret: 'deploy_key' }]],
} as const;

export const settings = {
  type: 'object',
  title: 'map of settings',
  description:
    'What a plugin is to do: `my-key: x` is its variable PLUGIN_MY_KEY; lists of plain values are joined by commas, ' +
    'maps and other lists are JSON, `{ from_secret: NAME }` is a secret.',
  additionalProperties: values,
  propertyNames: {
    title: 'name of letters, digits, _, - and .',
    pattern: '^[A-Za-z0-9_.-]+$',
    maxLength: 1000,
  },
} as const;

export type SettingsFile = XStatic<typeof settings>;
export type StepEnvironmentFile = XStatic<typeof stepEnvironment>;
