import type { Command } from 'commander';

/** A command: one file, loaded only when it is asked for, for all of them take longer than a sandbox to start. */
export interface Entry {
  readonly group: string;
  /** One line of the list of commands. */
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: () => Command }>;
}

const here = 'On this machine:';
const service = 'The service:';
const builds = 'Builds of the service:';
const settings = 'What the service knows:';

/** By name, in the order in which they are shown. */
export const commands: Readonly<Record<string, Entry>> = {
  run: { group: here, summary: "run a directory's workflow, or one command", load: () => import('./run.ts') },
  lint: {
    group: here,
    summary: 'check workflow files, and show what would run',
    load: () => import('./lint.ts'),
  },
  schema: {
    group: here,
    summary: 'print the JSON Schema of workflow files',
    load: () => import('./schema.ts'),
  },
  image: { group: here, summary: 'pull, import, export and remove images', load: () => import('./image.ts') },
  cache: { group: here, summary: 'list and remove what builds cached', load: () => import('./cache.ts') },
  doctor: {
    group: here,
    summary: 'tell what this machine lacks, and what mends it',
    load: () => import('./doctor.ts'),
  },
  up: {
    group: service,
    summary: 'run Redis, API and a worker on this machine',
    load: () => import('./up.ts'),
  },
  serve: { group: service, summary: 'run the API alone', load: () => import('./serve.ts') },
  worker: { group: service, summary: 'run a worker alone', load: () => import('./worker.ts') },
  submit: {
    group: builds,
    summary: 'build a directory or a repository',
    load: () => import('./submit.ts'),
  },
  ls: { group: builds, summary: 'list builds', load: () => import('./ls.ts') },
  show: { group: builds, summary: 'show a build, and why it waits', load: () => import('./show.ts') },
  logs: { group: builds, summary: 'print or follow the log of a build', load: () => import('./logs.ts') },
  cancel: { group: builds, summary: 'cancel builds', load: () => import('./cancel.ts') },
  retry: { group: builds, summary: 'build the same again', load: () => import('./retry.ts') },
  approve: {
    group: builds,
    summary: 'let builds run that wait for approval',
    load: () => import('./approve.ts'),
  },
  artifacts: {
    group: builds,
    summary: 'list and fetch what a build left',
    load: () => import('./artifacts.ts'),
  },
  repo: {
    group: settings,
    summary: 'repositories, their policies and crons',
    load: () => import('./repo.ts'),
  },
  secret: { group: settings, summary: 'secrets of builds', load: () => import('./secret.ts') },
  token: { group: settings, summary: 'tokens: who may do what', load: () => import('./token.ts') },
  hook: {
    group: settings,
    summary: 'what forges delivered, and what came of it',
    load: () => import('./hook.ts'),
  },
};
