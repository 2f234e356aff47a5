import { type Static, Type } from 'typebox';
import type { ForgeKind, GitCredentials, Repository } from '../repositories.ts';
import type { KeysChange, RepositoryChange } from '../repositories/change.ts';
import { object, oneOf, orNull, whole } from './json-schema.ts';
import {
  apiUrl,
  checkout,
  concurrency,
  defaults,
  defaultsNote,
  forge,
  limits,
  limitsNote,
  plain,
  untrusted,
  untrustedNote,
  url,
} from './repository-parts.ts';
import { cronJob } from './cron-job.ts';
import { named } from './schema.ts';
import { Priority } from './submission.ts';
import { webhookSecret } from './webhook.ts';

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

const repositoryName = { type: 'string', maxLength: 200, description: 'Default: the path of the URL.' };

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
  crons: {
    type: 'array',
    items: object(cronJob, { required: ['name', 'schedule', 'timezone'] }),
    description: 'Builds at set times; by name.',
  },
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

export const RepositoryMadeSchema = Type.Unsafe<RepositoryDetails & { readonly webhookSecret: string }>({
  $id: 'RepositoryMade',
  type: 'object',
  properties: {
    ...shown,
    keys: whole(held),
    webhookSecret: { type: 'string', description: 'Shown this once.' },
  },
  required: [...always, 'keys', 'webhookSecret'],
});

export const repositorySchemas = [
  RepositoryRequest,
  RepositoryPatch,
  RepositorySchema,
  RepositoryListSchema,
  RepositoryDetailsSchema,
  RepositoryMadeSchema,
];
