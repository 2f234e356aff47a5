import { globs, path, size } from './value-schema.ts';

/** What a workflow's sandbox is made with; plain data, as schema.ts says why. */

export const resources = {
  type: 'object',
  title: 'map of limits',
  description: 'Hard limits of the whole workflow.',
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
    disk: { ...size, description: 'All that the workflow writes; at least 1MiB. Default: 10GiB.' },
    pids: {
      type: 'integer',
      title: 'whole number',
      description: 'Processes and threads at one time. Default: 1024.',
      minimum: 8,
      maximum: 4_194_304,
    },
  },
} as const;

export const network = {
  anyOf: [
    { type: 'string', enum: ['none', 'egress'] },
    {
      type: 'object',
      title: 'network class',
      required: ['allow'],
      additionalProperties: false,
      properties: {
        allow: {
          type: 'array',
          title: 'list of host names',
          items: {
            type: 'string',
            title: 'host name',
            description: 'Over HTTP and TLS at 80 and 443; with `:PORT` at that port instead.',
            examples: ['packages.example.org', '*.example.org', 'git.example.org:22'],
            pattern:
              '^(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*' +
              '(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$',
            maxLength: 259,
          },
          minItems: 1,
          maxItems: 100,
        },
      },
    },
  ],
  title: 'network class (none, egress, or map with allow)',
  description:
    'none: only the loopback interface; egress: the internet, but nothing private; allow: these hosts.',
} as const;

const cache = {
  type: 'object',
  title: 'cache',
  required: ['name', 'path'],
  additionalProperties: false,
  properties: {
    name: {
      type: 'string',
      title: 'name of letters, digits, _, . and -',
      examples: ['npm'],
      pattern: '^(?![.]{1,2}$)[A-Za-z0-9_.-]+$',
      maxLength: 100,
    },
    path: {
      ...path,
      description: 'A directory: absolute, or relative to the workspace.',
      examples: ['/root/.npm'],
    },
    key: { ...globs, description: 'Files whose content decides whether it is still the same.' },
  },
} as const;

export const caches = {
  type: 'array',
  items: cache,
  title: 'list of caches',
  description: 'Directories that are kept from build to build.',
  maxItems: 20,
} as const;
