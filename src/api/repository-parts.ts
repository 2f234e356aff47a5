/** What may be said of a repository and what is answered of it is made of these. */

import { forges } from '../repositories.ts';
import { integer, listOf, oneOf } from './json-schema.ts';
import { Environment, Labels, Priority } from './submission.ts';

export const limits = {
  cpus: { type: 'number', exclusiveMinimum: 0, maximum: 10_000 },
  memoryBytes: integer(1, 2 ** 50, 'RAM.'),
  diskBytes: integer(1, 2 ** 50, 'All that the build writes.'),
  pids: integer(1, 4_194_304, 'Processes and threads.'),
  timeoutMs: integer(1000, 2 ** 31 - 1, 'How long it may run.'),
};
export const limitsNote = {
  description: 'Upper bounds; what is not there is bounded by the workflow of the target branch.',
};

export const untrusted = {
  builds: oneOf(
    ['run', 'approval', 'refuse'],
    '`approval`: each waits until somebody approves it. `refuse`: events from forks make no build. Default: run.',
  ),
  network: oneOf(['none', 'egress'], 'What they may ask for at most; default: none.'),
};
export const untrustedNote = { description: 'What builds of pull requests from forks get.' };

export const defaults = { priority: Priority, labels: Labels, environment: Environment };
export const defaultsNote = { description: 'Given to each of its builds, unless they say otherwise.' };

export const checkout = {
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

export const url = {
  type: 'string',
  maxLength: 2048,
  description: '`https://…`, `ssh://…` or `user@host:path`, without credentials.',
  examples: ['https://github.com/acme/app.git'],
};
export const apiUrl = {
  type: 'string',
  maxLength: 2048,
  pattern: '^https?://[^/@?#\\s]+(/[^@?#\\s]*)?$',
  description:
    'API of the forge; null: no commit status is posted. Default: as the URL of the repository tells.',
};
export const concurrency = integer(
  1,
  1_000_000,
  'Builds of it that run side by side; default: as for all projects.',
);

export const plain = {
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
  badge: oneOf(
    ['private', 'public'],
    '`public`: anybody may see its badges, and so that it exists. Default: private.',
  ),
};

export const forge = oneOf(forges, 'What sends the webhooks.');
