import type { Limits } from '../limits.ts';

/** A workflow file, checked and with every default filled in: what runBuild() executes. Pure data. */
export interface Plan {
  /** From the file's name: `.cofferdam.yaml` → `cofferdam`, `.cofferdam/lint.yaml` → `lint`. */
  readonly name: string;
  /** The image that steps without one share, in one container; undefined when every step names its own. */
  readonly image: string | undefined;
  readonly steps: readonly [PlanStep, ...PlanStep[]];
  /** Milliseconds; the whole build. */
  readonly timeoutMs: number;
  readonly limits: Limits;
  readonly network: 'none';
  readonly artifacts: readonly ArtifactPattern[];
}

/** Of a workflow that says nothing of it. */
export const defaultTimeoutMs = 60 * 60 * 1000;

export interface PlanStep {
  readonly name: string;
  /** `shared`: the build's one container; `own`: a fresh container of that image on the same workspace. */
  readonly container: { readonly kind: 'shared' } | { readonly kind: 'own'; readonly image: string };
  readonly run:
    | { readonly kind: 'commands'; readonly commands: readonly [string, ...string[]] }
    | { readonly kind: 'exec'; readonly args: readonly [string, ...string[]] };
  readonly environment: Readonly<Record<string, string>>;
  /** What this step alone gets; a step that asks for any has a container of its own. */
  readonly secrets: readonly StepSecret[];
  /** What the step's failure does to the build. */
  readonly onFailure: 'fail' | 'ignore';
  /** States of the build so far in which the step runs (`when.status`). */
  readonly when: readonly ('success' | 'failure')[];
}

/** A secret by its name, and where the step finds it: in a variable, or in a file below secretsPath. */
export type StepSecret = { readonly secret: string } & (
  | { readonly kind: 'variable'; readonly variable: string }
  | { readonly kind: 'file'; readonly file: string }
);

/** A directory in memory, of one container. */
export const secretsPath = '/run/secrets';

export interface ArtifactPattern {
  /** Relative to the workspace; no `..`. */
  readonly glob: string;
  readonly when: 'always' | 'success' | 'failure';
}
