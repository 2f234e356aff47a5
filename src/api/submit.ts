import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { type Static, Type } from 'typebox';
import { monotonicFactory } from 'ulid';
import type { Repository } from '../repositories.ts';
import type { BuildSource, BuildSpec } from '../spec.ts';
import { isFor, type Token } from '../tokens.ts';
import { outside, tokenOf } from './auth.ts';
import { findGitSource } from './git-source.ts';
import { Problem, problemResponse } from './problem.ts';
import { Build, publicRecord } from './record.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';
import { checkWorkflow, isSubmission, Submission, submissionOfQuery, TarQuery } from './submission.ts';
import { encodingOf, tarTypes } from './tarball.ts';
import { findUpload, keepUpload } from './uploads.ts';

const IdempotencyKey = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      pattern: '^[!-~]{1,255}$',
      description:
        'A key of your choice: the same request with it again within 24 hours answers with the build it made; another ' +
        'request is refused.',
    }),
  ),
});

const nextId = monotonicFactory();

const Tar = Type.String({ format: 'binary', description: 'A working tree.' });

/** `POST /v1/builds`: asks for a build. It is on disk (as far as Redis is told to) when 202 is answered. */
export function submit(app: App, context: Context): void {
  const { queue, reach } = context;
  app.post(
    '/v1/builds',
    {
      config: { access: 'submit', limited: 'by-project' },
      schema: {
        operationId: 'submitBuild',
        summary: 'Submit a build: of a commit, of an upload, of the tar in the body, or without a source',
        tags: ['builds'],
        querystring: TarQuery,
        headers: IdempotencyKey,
        body: {
          content: {
            'application/json': { schema: named(Submission) },
            ...Object.fromEntries(tarTypes.map((type) => [type, { schema: Tar }])),
          },
        },
        response: {
          202: named(Build, 'Accepted; Location is the address of the build.'),
          422: problemResponse(
            'The upload or the repository is not there, or the Idempotency-Key was used for another request.',
          ),
        },
      },
    },
    async (request, reply) => {
      const { body, query, headers } = request;
      const token = tokenOf(request);
      // Before it is looked for: what there is besides its projects is not for the token to know.
      if (isSubmission(body) && body.source.kind === 'git') requireProject(token, body.source.repository);
      const asked = await read(context, body, query, headers);
      const spec = specOf(asked, token);
      const { record, created } = await reach(() => queue.submit(spec, headers['idempotency-key']));
      reply.code(202).header('location', `/v1/builds/${record.id}`);
      if (!created) reply.header('idempotent-replayed', 'true');
      return reply.send(publicRecord(record));
    },
  );
}

/** What is asked for, and of what. */
interface Asked {
  readonly submission: Submission;
  readonly source: BuildSource;
  /** The registered one that the source is of. */
  readonly repository?: Repository | undefined;
}

/** The submission in a body of any kind, and its source, which is there when it is in storage. Throws Problem. */
async function read(
  context: Context,
  body: unknown,
  query: Static<typeof TarQuery>,
  headers: IncomingHttpHeaders,
): Promise<Asked> {
  if (body instanceof Readable) {
    const submission = submissionOfQuery(query);
    const encoding = encodingOf(headers['content-type'], headers['content-encoding']);
    const upload = await keepUpload(context, body, encoding);
    return { submission, source: { kind: 'upload', ...upload, ...submission.sourceInfo } };
  }
  if (!isSubmission(body)) throw new TypeError('the validator let through what is no submission');
  const [parameter] = Object.keys(query);
  if (parameter !== undefined) {
    throw new Problem(400, 'the query is for a body that is a tar; say it in the JSON', {
      places: [{ parameter, detail: 'goes into the body' }],
    });
  }
  checkWorkflow(body);
  return { submission: body, ...(await sourceOf(context, body)) };
}

async function sourceOf(context: Context, submission: Submission): Promise<Omit<Asked, 'submission'>> {
  const { source, sourceInfo } = submission;
  if (source.kind === 'git') return await findGitSource(context, source);
  if (source.kind === 'none') return { source };
  const upload = await findUpload(context, source.digest);
  if (!upload) {
    throw new Problem(422, `there is no such upload; PUT the tar to /v1/uploads/${source.digest} first`, {
      places: [{ pointer: '#/source/digest', detail: 'is not known' }],
    });
  }
  return { source: { ...source, bytes: upload.bytes, ...sourceInfo } };
}

function projectOf(source: BuildSource): string {
  if (source.kind === 'git') return source.repo;
  throw new Problem(400, 'nothing says what is built', {
    places: [{ pointer: '#/project', detail: 'is missing' }],
  });
}

function requireProject(token: Token, name: string | undefined): void {
  if (name !== undefined && !isFor(token, name))
    throw outside(token, `${JSON.stringify(name)} is none of them`);
}

function specOf({ submission, source, repository }: Asked, token: Token): BuildSpec {
  const { workflow, group, notBefore } = submission;
  const project = submission.project ?? projectOf(source);
  // A build has the secrets and credentials of the repository, or of what its project is named for.
  requireProject(token, project);
  requireProject(token, repository?.name);
  const { priority, environment, labels } = repository?.defaults ?? {};
  return {
    id: nextId(),
    project,
    source,
    environment: { ...environment, ...submission.environment },
    priority: submission.priority ?? priority ?? 5,
    labels: { ...labels, ...submission.labels },
    requestedBy: token.id,
    trigger: { kind: 'manual', actor: token.name },
    trust: 'trusted',
    ...(workflow !== undefined && { workflow }),
    ...(group !== undefined && { group }),
    ...(notBefore !== undefined && { notBefore: new Date(notBefore).toISOString() }),
  };
}
