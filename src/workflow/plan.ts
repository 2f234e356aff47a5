import type { Limits } from '../limits.ts';
import type { RunsOn } from './conditions.ts';

/** The workflows that a build's circumstances ask for, checked and with every default filled in. Pure data. */
export interface BuildPlan {
  readonly workflows: readonly [Plan, ...Plan[]];
}

/** One workflow: what runs in one sandbox. */
export interface Plan {
  /** Unique in the build: that of the file, with the values of the matrix, as in `test (GO=1.24, OS=linux)`. */
  readonly name: string;
  /** From the file's name: `.cofferdam.yaml` → `cofferdam`, `.cofferdam/lint.yaml` → `lint`. */
  readonly file: string;
  /** Its values of the matrix; steps have them as variables already, plugins do not. */
  readonly matrix: Readonly<Record<string, string>>;
  /** Names of plans of this build; it begins when all of these have ended. */
  readonly dependsOn: readonly string[];
  /** States of those it depends on in which it runs. */
  readonly when: RunsOn;
  /** The image that steps without one share, in one container; undefined when every step names its own. */
  readonly image: string | undefined;
  readonly steps: readonly [PlanStep, ...PlanStep[]];
  readonly services: readonly PlanService[];
  readonly caches: readonly PlanCache[];
  /** Milliseconds; the whole workflow. */
  readonly timeoutMs: number;
  readonly limits: Limits;
  readonly network: Network;
  /** What a worker must have; a worker's `*` stands for any value. */
  readonly labels: Readonly<Record<string, string>>;
  /** No more than `limit` workflows of the repository with this group run at one time. A group has any text. */
  readonly concurrency?: { readonly group: string; readonly limit: number };
  /** Further tries after failures of the platform. */
  readonly retry: { readonly max: number };
  /** Steps at one time; undefined: as many as can. */
  readonly parallel?: number;
  /** `none`: the workspace begins empty (`skip_clone`). */
  readonly checkout: 'source' | 'none';
  /** Absolute, in containers; normalised, not `/`. */
  readonly workspace: string;
  readonly artifacts: readonly ArtifactPattern[];
}

/** Whom the containers of a workflow can reach; each other always. */
export type Network =
  /** The workflow does not say: egress where the build may have it and the machine can give it, else none. */
  | { readonly kind: 'default' }
  | { readonly kind: 'none' }
  /** The internet, but nothing that is private. */
  | { readonly kind: 'egress' }
  /** Host names; `*.` at the start stands for any names below; `:PORT` at the end for another port than 80 and 443. */
  | { readonly kind: 'allow'; readonly hosts: readonly string[] };

/** Of a workflow that says nothing of it. */
export const defaultTimeoutMs = 60 * 60 * 1000;

/** What a workflow has that says nothing but its steps. */
export const planDefaults = {
  matrix: {},
  dependsOn: [],
  when: ['success'],
  image: undefined,
  services: [],
  caches: [],
  timeoutMs: defaultTimeoutMs,
  network: { kind: 'default' },
  labels: {},
  retry: { max: 2 },
  checkout: 'source',
  workspace: '/workspace',
  artifacts: [],
} as const satisfies Partial<Plan>;

export interface PlanStep {
  /** Unique in the workflow. */
  readonly name: string;
  /** Names of steps of the workflow; it begins when all of these have ended. Without any it begins at once. */
  readonly dependsOn: readonly string[];
  /** `shared`: the workflow's one container; `own`: a fresh container of that image on the same workspace. */
  readonly container: { readonly kind: 'shared' } | { readonly kind: 'own'; readonly image: string };
  readonly run: Run;
  /** `detached`: it runs until the workflow ends, and nothing waits for more than its start. */
  readonly mode: 'foreground' | 'detached';
  /** Where it runs: absolute, or relative to the workspace. */
  readonly directory: string;
  /** Milliseconds; undefined: as long as the workflow may. */
  readonly timeoutMs?: number;
  readonly pull: 'missing' | 'always';
  readonly environment: Readonly<Record<string, string>>;
  /** What this step alone gets; a step that asks for any has a container of its own. */
  readonly secrets: readonly StepSecret[];
  /** What the step's failure does: `cancel` ends all other workflows of the build too. */
  readonly onFailure: 'fail' | 'ignore' | 'cancel';
  /** States of the workflow so far in which the step runs (`when.status`). */
  readonly when: RunsOn;
  /** Collected when the workflow has ended, by how the step ended. */
  readonly artifacts: readonly ArtifactPattern[];
}

/** What a step has that says nothing but its commands. */
export const stepDefaults = {
  dependsOn: [],
  container: { kind: 'shared' },
  mode: 'foreground',
  directory: '.',
  pull: 'missing',
  environment: {},
  secrets: [],
  onFailure: 'fail',
  when: ['success'],
  artifacts: [],
} as const satisfies Partial<PlanStep>;

/** What a container runs. */
export type Run =
  /** In one shell; see script.ts. */
  | { readonly kind: 'commands'; readonly commands: readonly [string, ...string[]] }
  /** Instead of the image's own entrypoint and arguments. */
  | { readonly kind: 'exec'; readonly args: readonly [string, ...string[]] }
  /** The image's own entrypoint, with these arguments or its own. */
  | { readonly kind: 'image'; readonly args?: readonly string[] };

/** A side container that runs while the steps do. */
export interface PlanService {
  /** Unique in the workflow, and the host name by which steps reach it. */
  readonly name: string;
  readonly image: string;
  readonly run: Run;
  /** As a step's. */
  readonly directory: string;
  readonly pull: 'missing' | 'always';
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: readonly StepSecret[];
  /** When it counts as ready: no step begins before. */
  readonly ready: Readiness;
  /** What it means that it ends before the steps do, or with an error. */
  readonly onFailure: 'fail' | 'ignore';
}

/** How to know that a service is ready; milliseconds from its start until it should be. */
export type Readiness = { readonly deadlineMs: number } & (
  | { readonly kind: 'none' }
  /** The HEALTHCHECK of its image; one that has none is ready when it runs. */
  | { readonly kind: 'image' }
  /** A command in its container exits with 0. */
  | { readonly kind: 'command'; readonly args: readonly [string, ...string[]] }
  | { readonly kind: 'tcp'; readonly port: number }
  /** A 2xx or 3xx answer to GET. */
  | { readonly kind: 'http'; readonly port: number; readonly path: string }
  /** It has written this text. */
  | { readonly kind: 'log'; readonly text: string }
);

/** A directory that is kept from build to build. */
export interface PlanCache {
  /** Unique in the workflow. */
  readonly name: string;
  /** In containers; absolute, or relative to the workspace; no `..`. */
  readonly path: string;
  /** Globs of files of the source, whose content makes the key. */
  readonly key: readonly string[];
}

/**
 * A secret by its name, and where the step finds it: in a variable, in a file below secretsPath, or in a variable that is
 * JSON, with its value where withSecret() of settings.ts puts it into the template. That variable may hold several.
 */
export type StepSecret = { readonly secret: string } & (
  | { readonly kind: 'variable'; readonly variable: string }
  | { readonly kind: 'json'; readonly variable: string; readonly template: string }
  | { readonly kind: 'file'; readonly file: string }
);

/** A directory in memory, of one container. */
export const secretsPath = '/run/secrets';

export interface ArtifactPattern {
  /** Relative to the workspace; no `..`. */
  readonly glob: string;
  readonly when: 'always' | 'success' | 'failure';
}
