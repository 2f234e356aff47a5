/** Values that several parts of the workflow's schema have; plain data, as schema.ts says why. */

export const image = {
  type: 'string',
  title: 'image reference',
  description: 'What the commands run in: an OCI image, bootstrap:SUITE+PACKAGE,…, or an imported name.',
  examples: ['node:24', 'bootstrap:bookworm+make'],
  pattern: '^[!-,.-~][!-~]*$',
  maxLength: 1024,
} as const;

export const packages = {
  type: 'array',
  title: 'list of Debian packages',
  description: 'Added to a bootstrap: image, in a layer of their own.',
  items: {
    type: 'string',
    title: 'name of a Debian package',
    examples: ['git'],
    // Debian policy 5.6.1; at the end, apt reads - as "remove".
    pattern: '^[a-z0-9][a-z0-9+.-]{0,126}[a-z0-9+.]$',
  },
  minItems: 1,
  maxItems: 256,
} as const;

export const name = {
  type: 'string',
  title: 'name',
  description: 'Shown in the log and the record.',
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

export const commands = {
  anyOf: [command, { type: 'array', items: command, minItems: 1 }],
  title: 'command or list of commands',
  description: 'Run one after another in one shell with `set -e`; the first that fails ends the step.',
} as const;

/** Argument of a program. */
const word = {
  type: 'string',
  title: 'text without NUL',
  pattern: '^[^\\u0000]*$',
  maxLength: 32_000,
} as const;

export const words = {
  anyOf: [
    { ...word, title: 'program', pattern: '^[^\\u0000]+$' },
    { type: 'array', items: word, minItems: 1 },
  ],
  title: 'program or list of a program and its arguments',
  examples: [['/bin/tini', '--', 'serve']],
} as const;

export const duration = {
  type: 'string',
  title: 'duration',
  examples: ['30m', '1h30m', '90s'],
  pattern: '^(?=.)([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$',
} as const;

export const size = {
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

export const path = {
  type: 'string',
  title: 'path',
  pattern: '^[^\\u0000]+$',
  maxLength: 1024,
} as const;

const glob = {
  type: 'string',
  title: 'pattern of paths',
  description: 'Relative to the workspace; *, **, ?, [a-z] and {a,b} as in a shell.',
  examples: ['dist/**', '*.deb'],
  maxLength: 1024,
} as const;

export const globs = {
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

export const artifacts = {
  anyOf: [artifact, { type: 'array', items: artifact }],
  title: 'pattern of paths or list of patterns',
  description: 'Files of the workspace to keep after the build.',
  examples: ['dist/**', '*.deb'],
} as const;

const dependency = {
  anyOf: [
    name,
    {
      type: 'object',
      title: 'dependency',
      required: ['name'],
      additionalProperties: false,
      properties: {
        name,
        optional: {
          type: 'boolean',
          title: 'boolean',
          description: 'true: it does not matter when it is not part of the build.',
        },
      },
    },
  ],
  title: 'name, or map with name and optional',
} as const;

export const dependencies = {
  anyOf: [name, { type: 'array', items: dependency }],
  title: 'name or list of names',
  examples: ['build'],
} as const;

export const flag = { type: 'boolean', title: 'boolean' } as const;
