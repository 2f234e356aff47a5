import { Type } from 'typebox';
import type { Trigger } from '../trigger.ts';

const text = (description?: string) =>
  Type.Optional(Type.String(description === undefined ? {} : { description }));

/** What all kinds have; texts are the forge's. */
const happening = {
  actor: text('Login on the forge, or the name of a token.'),
  at: Type.Optional(Type.String({ format: 'date-time', description: "By the forge's clock." })),
  delivery: text('Id of the delivery that told of it.'),
  url: text('A page of the forge that shows it.'),
  commit: Type.Optional(Type.Object({ message: text(), author: text(), email: text() })),
};

const PullRequest = Type.Object({
  number: Type.Integer(),
  title: text(),
  sourceBranch: Type.String(),
  targetBranch: Type.String(),
  from: Type.Object({ kind: Type.Enum(['same-repository', 'fork'], { type: 'string' }), url: text() }),
  baseSha: text('The commit of the target branch that it is compared with.'),
  labels: Type.Optional(Type.Array(Type.String())),
});

/** What made a build. */
const TriggerDocument = {
  $id: 'Trigger',
  type: 'object',
  description: 'What made the build.',
  required: ['kind'],
  discriminator: { propertyName: 'kind' },
  oneOf: [
    Type.Object({ kind: Type.Literal('manual'), ...happening }),
    Type.Object({ kind: Type.Literal('push'), branch: Type.String(), before: text(), ...happening }),
    Type.Object({ kind: Type.Literal('tag'), tag: Type.String(), ...happening }),
    Type.Object({ kind: Type.Literal('pull_request'), pullRequest: PullRequest, ...happening }),
    Type.Object({ kind: Type.Literal('cron'), name: Type.String(), branch: Type.String(), ...happening }),
  ],
};

/** The document of a Trigger. */
export const TriggerSchema = Type.Unsafe<Trigger>(TriggerDocument);
