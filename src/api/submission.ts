import { type Static, Type } from 'typebox';
import { WorkflowError } from '../workflow/problem.ts';
import { planBuild } from '../workflow/build-plan.ts';
import { Problem } from './problem.ts';
import { bodyValidator, placesOf } from './validation.ts';

/** Text that is shown in lists and logs: one line, nothing that moves a terminal's cursor. */
const line = (maxLength: number, description?: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: '^\\P{Cc}+$',
    ...(description !== undefined && { description }),
  });

export const Labels = Type.Unsafe<Record<string, string>>({
  type: 'object',
  description: 'What a worker must have, such as `arch: arm64`.',
  additionalProperties: { type: 'string', pattern: '^[A-Za-z0-9._/-]{1,100}$' },
  propertyNames: { pattern: '^[A-Za-z0-9._/-]{1,100}$' },
  maxProperties: 20,
});

/** One environment entry cannot exceed 128 KiB (MAX_ARG_STRLEN of Linux); 32,000 characters never do. */
export const Environment = Type.Unsafe<Record<string, string>>({
  type: 'object',
  description: "Added to each step's environment.",
  additionalProperties: { type: 'string', pattern: '^[^\\u0000]*$', maxLength: 32_000 },
  propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$', maxLength: 1000 },
  maxProperties: 1000,
});

export const Priority = Type.Integer({
  minimum: 0,
  maximum: 9,
  description: '9 goes first, 0 last; default 5.',
});

/** `oneOf`, where typebox says `anyOf`: the validator then tells what is wrong with the kind that was meant. */
const Source = {
  description: 'The working tree, or a commit; `none` needs `workflow`.',
  oneOf: [
    Type.Object(
      {
        kind: Type.Literal('upload'),
        digest: Type.String({
          pattern: '^[0-9a-f]{64}$',
          description: 'Of a tar that was put to /v1/uploads.',
        }),
      },
      { additionalProperties: false },
    ),
    Type.Object(
      {
        kind: Type.Literal('git'),
        repository: Type.Optional(Type.String({ maxLength: 200, description: 'Name of one of /v1/repos.' })),
        url: Type.Optional(
          Type.String({
            maxLength: 2048,
            description: 'Instead of `repository`: `https://…`, `ssh://…` or `user@host:path`.',
          }),
        ),
        ref: Type.Optional(
          Type.String({
            maxLength: 1000,
            description:
              'A branch, or a full ref such as `refs/tags/v1`; default: the default branch of `repository`.',
          }),
        ),
        sha: Type.Optional(
          Type.String({
            maxLength: 64,
            description: 'The commit; default: the one that `ref` has when a worker looks.',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    Type.Object({ kind: Type.Literal('none') }, { additionalProperties: false }),
  ],
};
type Source = Static<(typeof Source.oneOf)[number]>;

/** The body of POST /v1/builds as JSON. */
export const Submission = Type.Object(
  {
    project: Type.Optional(
      line(200, 'What is built; projects take turns in the queue. Default, of `git` only: the repository.'),
    ),
    source: Type.Unsafe<Source>({
      ...Source,
      type: 'object',
      required: ['kind'],
      discriminator: { propertyName: 'kind' },
    }),
    workflow: Type.Optional(
      Type.String({ maxLength: 1024 * 1024, description: "YAML; default: the source's own file." }),
    ),
    environment: Type.Optional(Environment),
    priority: Type.Optional(Priority),
    labels: Type.Optional(Labels),
    group: Type.Optional(line(200, 'Builds of one group run one at a time.')),
    notBefore: Type.Optional(Type.String({ format: 'date-time' })),
    sourceInfo: Type.Optional(
      Type.Object(
        {
          repo: Type.Optional(line(1000, 'Default: the project.')),
          ref: Type.Optional(line(1000, 'Branch or tag.')),
          sha: Type.Optional(Type.String({ pattern: '^[0-9a-f]{40}([0-9a-f]{24})?$' })),
        },
        { additionalProperties: false, description: 'Where an upload came from; shown, and used by lists.' },
      ),
    ),
  },
  { $id: 'Submission', additionalProperties: false },
);
export type Submission = Static<typeof Submission>;

const list = (description: string) => Type.Optional(Type.Array(Type.String(), { description }));

/** The query of POST /v1/builds when the body is the tar itself. */
export const TarQuery = Type.Object(
  {
    project: Type.Optional(Type.String({ description: 'Required when the body is a tar.' })),
    env: list('NAME=VALUE; may be given more than once.'),
    label: list('NAME=VALUE; may be given more than once.'),
    priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 9 })),
    group: Type.Optional(Type.String()),
    notBefore: Type.Optional(Type.String({ format: 'date-time' })),
    repo: Type.Optional(Type.String()),
    ref: Type.Optional(Type.String()),
    sha: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

/** Whether a JSON value has the form of a submission; `errors` says why not. */
export const isSubmission = bodyValidator(Submission);

/**
 * What the query of a tar asks for, without the source, which is known only when the tar is there.
 * Throws Problem (400) that names the query's parameters.
 */
export function submissionOfQuery(query: Static<typeof TarQuery>): Submission {
  const { project, env, label, repo, ref, sha, ...rest } = query;
  if (project === undefined) {
    throw new Problem(400, 'the query does not say what to build', {
      places: [{ parameter: 'project', detail: 'is missing' }],
    });
  }
  const submission = {
    ...rest,
    project,
    source: { kind: 'none' },
    ...(env && { environment: pairs(env, 'env') }),
    ...(label && { labels: pairs(label, 'label') }),
    sourceInfo: { ...(repo && { repo }), ...(ref && { ref }), ...(sha && { sha }) },
  };
  if (isSubmission(submission)) return submission;
  const places = placesOf(isSubmission.errors ?? [], 'body').map(({ pointer = '', detail }) => {
    const path = pointer
      .replace('#/sourceInfo/', '#/')
      .replace('#/environment', '#/env')
      .replace('#/labels', '#/label');
    return { parameter: path.split('/')[1] ?? '', detail };
  });
  throw new Problem(400, 'the query does not say what to build', { places });
}

/** Throws Problem (400) when a submission's own workflow has errors, with line and column of each. */
export function checkWorkflow({ workflow, source }: Submission): void {
  const pointer = '#/workflow';
  if (workflow === undefined) {
    if (source.kind !== 'none') return;
    const detail = 'is missing: without a source there is no file to find it in';
    throw new Problem(400, 'nothing says what to run', { places: [{ pointer, detail }] });
  }
  try {
    planBuild([{ file: 'workflow', text: workflow }], undefined);
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
    const places = error.problems.slice(0, 20).map(({ line: row, column, message, hint }) => ({
      pointer,
      detail: `line ${row}, column ${column}: ${message}${hint === undefined ? '' : `; ${hint}`}`,
    }));
    throw new Problem(400, 'the workflow cannot be used', { places, cause: error });
  }
}

function pairs(entries: readonly string[], parameter: string): Record<string, string> {
  const split = entries.map((entry): [string, string] => {
    const at = entry.indexOf('=');
    if (at > 0) return [entry.slice(0, at), entry.slice(at + 1)];
    throw new Problem(400, `${parameter} needs NAME=VALUE`, {
      places: [{ parameter, detail: `'${entry.slice(0, 100)}' has no name and '='` }],
    });
  });
  return Object.fromEntries(split);
}
