import { type Static, Type } from 'typebox';
import { forges, type GitCredentials, type ForgeKind, type Repository } from '../repositories.ts';
import type { KeysChange, RepositoryChange } from '../repositories/change.ts';
import { named } from './schema.ts';
import { Environment, Labels, Priority } from './submission.ts';

/** JSON Schema, written out: what may be said of a repository and what is answered differ only in what must be there. */
type Properties = Readonly<Record<string, object>>;

const object = (properties: Properties, more: object = {}) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...more,
});

/** All of its properties are there. */
const whole = (properties: Properties, description?: string) =>
  object(properties, {
    required: Object.keys(properties),
    ...(description !== undefined && { description }),
  });

/** Not a union with null: what is wrong with a value is then told once. */
const orNull = <Schema extends { readonly type: string }>(schema: Schema) => ({
  ...schema,
  type: [schema.type, 'null'],
});

const oneOf = (values: readonly string[], description: string) => ({
  type: 'string',
  enum: values,
  description,
});
const listOf = (values: readonly string[], description: string) => ({
  type: 'array',
  items: { type: 'string', enum: values },
  uniqueItems: true,
  description,
});
const integer = (minimum: number, maximum: number, description: string) => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});

const limits = {
  cpus: { type: 'number', exclusiveMinimum: 0, maximum: 10_000 },
  memoryBytes: integer(1, 2 ** 50, 'RAM.'),
  diskBytes: integer(1, 2 ** 50, 'All that the build writes.'),
  pids: integer(1, 4_194_304, 'Processes and threads.'),
  timeoutMs: integer(1000, 2 ** 31 - 1, 'How long it may run.'),
};
const limitsNote = {
  description: 'Upper bounds; what is not there is bounded by the workflow of the target branch.',
};

const untrusted = {
  builds: oneOf(
    ['run', 'approval', 'refuse'],
    '`approval`: each waits until somebody approves it. `refuse`: events from forks make no build. Default: run.',
  ),
  network: oneOf(['none', 'egress'], 'What they may ask for at most; default: none.'),
};
const untrustedNote = { description: 'What builds of pull requests from forks get.' };

const defaults = { priority: Priority, labels: Labels, environment: Environment };
const defaultsNote = { description: 'Given to each of its builds, unless they say otherwise.' };

const checkout = {
  submodules: oneOf(['none', 'recursive'], 'Whether submodules are checked out; default: none.'),
  lfs: oneOf(['none', 'fetch'], 'Whether files of Git LFS are fetched; default: none.'),
  paths: {
    type: 'array',
    maxItems: 100,
    items: { type: 'string', minLength: 1, maxLength: 1000, pattern: '^\\P{Cc}+$' },
    description:
      'Directories and files to check out, from the top of the repository; default, and empty: everything.',
  },
};

const url = {
  type: 'string',
  maxLength: 2048,
  description: '`https://…`, `ssh://…` or `user@host:path`, without credentials.',
  examples: ['https://github.com/acme/app.git'],
};
const apiUrl = {
  type: 'string',
  maxLength: 2048,
  pattern: '^https?://[^/@?#\\s]+(/[^@?#\\s]*)?$',
  description:
    'API of the forge; null: no commit status is posted. Default: as the URL of the repository tells.',
};
const concurrency = integer(
  1,
  1_000_000,
  'Builds of it that run side by side; default: as for all projects.',
);

const plain = {
  defaultBranch: { type: 'string', minLength: 1, maxLength: 250, description: 'Default: main.' },
  events: listOf(['push', 'tag', 'pull_request'], 'That make builds; default: all.'),
  supersede: listOf(
    ['push', 'pull_request'],
    'Of which a newer build of the same branch or pull request cancels the older ones; default: all.',
  ),
  hosts: oneOf(
    ['public', 'internal'],
    '`internal`: its host may be one of a private network. Default: public.',
  ),
};

const line = { type: 'string', minLength: 1, maxLength: 4096, pattern: '^\\P{Cc}+$' };
const file = { type: 'string', minLength: 1, maxLength: 65_536, pattern: '^[^\\u0000]+$' };

const keys = {
  credentials: {
    type: ['object', 'null'],
    description: 'How git gets in; null: as anybody does. Never answered.',
    required: ['kind'],
    discriminator: { propertyName: 'kind' },
    oneOf: [
      whole({ kind: { const: 'https' }, user: line, password: line }),
      whole({ kind: { const: 'ssh' }, privateKey: file, knownHosts: file }, 'As files of OpenSSH.'),
    ],
  },
  forgeToken: orNull({ ...line, description: 'For commit statuses; null: none. Never answered.' }),
};

const settable = {
  ...plain,
  apiUrl: orNull(apiUrl),
  concurrency: orNull(concurrency),
  untrusted: object(
    {
      ...untrusted,
      limits: object(
        Object.fromEntries(Object.entries(limits).map(([name, limit]) => [name, orNull(limit)])),
        limitsNote,
      ),
    },
    untrustedNote,
  ),
  defaults: object({ ...defaults, priority: orNull(Priority) }, defaultsNote),
  checkout: object(checkout),
  ...keys,
};

const webhookSecret = {
  type: 'string',
  minLength: 16,
  maxLength: 256,
  pattern: '^[!-~]+$',
  description: 'What the forge signs with; default: 256 random bits. Never answered again.',
};

const repositoryName = { type: 'string', maxLength: 200, description: 'Default: the path of the URL.' };
const forge = oneOf(forges, 'What sends the webhooks.');

/** The body of POST /v1/repos. */
export const RepositoryRequest = Type.Unsafe<
  {
    readonly url: string;
    readonly forge: ForgeKind;
    readonly name?: string;
    readonly webhookSecret?: string;
  } & Omit<RepositoryChange, 'url'> &
    KeysChange
>(
  object(
    { url, forge, name: repositoryName, ...settable, webhookSecret },
    { $id: 'RepositoryRequest', required: ['url', 'forge'] },
  ),
);
export type RepositoryRequest = Static<typeof RepositoryRequest>;

/** The body of PATCH /v1/repos/:name. */
export const RepositoryPatch = Type.Unsafe<RepositoryChange & KeysChange>(
  object(
    { url, ...settable },
    {
      $id: 'RepositoryPatch',
      description:
        'What is not there stays as it is; null takes away. Labels and environment are replaced as a whole.',
    },
  ),
);
export type RepositoryPatch = Static<typeof RepositoryPatch>;

/** A repository as it is answered. */
export interface ShownRepository extends Repository {
  /** Where its forge sends webhooks to. */
  readonly webhookUrl: string;
}

const shown = {
  name: { type: 'string' },
  url,
  forge,
  apiUrl: { ...apiUrl, description: 'API of the forge; without it no commit status is posted.' },
  concurrency,
  ...plain,
  untrusted: whole({ ...untrusted, limits: object(limits, limitsNote) }, untrustedNote.description),
  defaults: object(defaults, defaultsNote),
  checkout: whole(checkout),
  createdAt: { type: 'string', format: 'date-time' },
  webhookUrl: { type: 'string', description: 'Where its forge sends webhooks to.' },
};
const always = Object.keys(shown).filter((name) => name !== 'apiUrl' && name !== 'concurrency');

const RepositorySchema = Type.Unsafe<ShownRepository>({
  $id: 'Repository',
  type: 'object',
  properties: shown,
  required: always,
});

/** A repository with what it has of secrets, not what they are. */
export interface RepositoryDetails extends ShownRepository {
  readonly keys: {
    /** More than one while it is being changed. */
    readonly webhookSecrets: number;
    readonly credentials: 'none' | GitCredentials['kind'];
    readonly forgeToken: 'none' | 'set';
  };
}

const held = {
  webhookSecrets: { type: 'integer', minimum: 1, description: 'More than one while it is being changed.' },
  credentials: oneOf(['none', 'https', 'ssh'], 'How git gets in.'),
  forgeToken: oneOf(['none', 'set'], 'For commit statuses.'),
};

export const RepositoryDetailsSchema = Type.Unsafe<RepositoryDetails>({
  $id: 'RepositoryDetails',
  type: 'object',
  properties: { ...shown, keys: whole(held, 'What it has of secrets.') },
  required: [...always, 'keys'],
});

export const RepositoryListSchema = Type.Object(
  { repositories: Type.Array(named(RepositorySchema)) },
  { $id: 'RepositoryList' },
);

const webhook = { url: shown.webhookUrl, secret: { type: 'string', description: 'Shown this once.' } };

export const RepositoryMadeSchema = Type.Unsafe<RepositoryDetails & { readonly webhookSecret: string }>({
  $id: 'RepositoryMade',
  type: 'object',
  properties: { ...shown, keys: whole(held), webhookSecret: webhook.secret },
  required: [...always, 'keys', 'webhookSecret'],
});

/** The body of POST /v1/repos/:name/webhook-secret. */
export const WebhookSecretRequest = Type.Unsafe<
  { readonly step: 'begin' | 'replace'; readonly secret?: string } | { readonly step: 'finish' }
>({
  $id: 'WebhookSecretRequest',
  type: 'object',
  required: ['step'],
  discriminator: { propertyName: 'step' },
  oneOf: [
    object(
      {
        step: oneOf(['begin', 'replace'], '`begin`: the old one is accepted too, until `finish`.'),
        secret: webhookSecret,
      },
      { required: ['step'] },
    ),
    object({ step: { const: 'finish' } }, { required: ['step'] }),
  ],
});

export const WebhookSchema = Type.Unsafe<{ readonly url: string; readonly secret?: string }>({
  $id: 'Webhook',
  type: 'object',
  properties: webhook,
  required: ['url'],
});

export const repositorySchemas = [
  RepositoryRequest,
  RepositoryPatch,
  RepositorySchema,
  RepositoryListSchema,
  RepositoryDetailsSchema,
  RepositoryMadeSchema,
  WebhookSecretRequest,
  WebhookSchema,
];
