import { validateHeaderName, validateHeaderValue } from 'node:http';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Hosts, Lookup } from '../addresses.ts';
import { requestChecked, textOf } from '../http.ts';
import { RemoteError } from '../remote-error.ts';
import type { LfsObject } from './pointer.ts';

/** Where to get one thing, and what to send along. */
export interface LfsAction {
  readonly href: string;
  readonly header: Readonly<Record<string, string>>;
}

/** The LFS server of a repository. */
export interface LfsEndpoint {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** How far we go to ask. */
export interface Reach {
  readonly hosts: Hosts;
  readonly look?: Lookup | undefined;
  readonly signal?: AbortSignal | undefined;
}

const actionSchema = Type.Object({
  href: Type.String({ maxLength: 16_384 }),
  header: Type.Optional(Type.Record(Type.String(), Type.String())),
});

const answerSchema = Type.Object({
  transfer: Type.Optional(Type.String()),
  objects: Type.Array(
    Type.Object({
      oid: Type.String(),
      authenticated: Type.Optional(Type.Boolean()),
      actions: Type.Optional(Type.Object({ download: Type.Optional(actionSchema) })),
      error: Type.Optional(Type.Object({ code: Type.Integer(), message: Type.String() })),
    }),
  ),
});

const mediaType = 'application/vnd.git-lfs+json';
/** What git-lfs itself asks for at once. */
const batchSize = 100;
const longestAnswer = 4 * 1024 * 1024;

/** Asks the server where the objects are, in as many requests as it takes. By oid. Throws RemoteError. */
export async function locateObjects(
  endpoint: LfsEndpoint,
  objects: readonly LfsObject[],
  reach: Reach,
): Promise<Map<string, LfsAction>> {
  const found = new Map<string, LfsAction>();
  for (let at = 0; at < objects.length; at += batchSize) {
    const asked = objects.slice(at, at + batchSize);
    const answers = new Map(
      (await ask(endpoint, asked, reach)).objects.map((object) => [object.oid, object]),
    );
    for (const { oid } of asked) found.set(oid, actionOf(endpoint, oid, answers.get(oid)));
  }
  return found;
}

async function ask(
  endpoint: LfsEndpoint,
  objects: readonly LfsObject[],
  reach: Reach,
): Promise<Static<typeof answerSchema>> {
  const { url, headers } = endpoint;
  const response = await requestChecked({
    ...reach,
    method: 'POST',
    url: `${url}/objects/batch`,
    headers: { ...headers, Accept: mediaType, 'Content-Type': mediaType },
    body: JSON.stringify({
      operation: 'download',
      transfers: ['basic'],
      hash_algo: 'sha256',
      objects: objects.map(({ oid, size }) => ({ oid, size })),
    }),
  });
  const text = await textOf(response, longestAnswer);
  if (response.statusCode !== 200) throw refusal(url, response.statusCode ?? 0);
  const answer = parseJson(text);
  if (!Check(answerSchema, answer) || (answer.transfer ?? 'basic') !== 'basic') {
    throw new RemoteError('unreachable', `${url} does not answer as a server of Git LFS`);
  }
  return answer;
}

/** An action as servers write it, in a batch or as the answer of git-lfs-authenticate. Throws RemoteError. */
export function parseAction(text: string): LfsAction {
  const action = parseJson(text);
  if (Check(actionSchema, action)) return { href: action.href, header: headersOf(action) };
  throw new RemoteError('unreachable', 'git-lfs-authenticate does not answer with an href');
}

function actionOf(
  endpoint: LfsEndpoint,
  oid: string,
  answer: Static<typeof answerSchema>['objects'][number] | undefined,
): LfsAction {
  const download = answer?.actions?.download;
  if (answer?.error || !download) {
    const reason = answer?.error
      ? `${answer.error.code} ${JSON.stringify(answer.error.message.slice(0, 200))}`
      : 'no address';
    throw new RemoteError(
      'refused',
      `${endpoint.url} does not have the object ${oid} (${reason}): push it with git lfs push`,
    );
  }
  // Only then, and only to its own server, the login for the repository is meant for the content too.
  const login =
    answer.authenticated !== true && sameOrigin(download.href, endpoint.url) ? endpoint.headers : {};
  return { href: download.href, header: { ...login, ...headersOf(download) } };
}

function refusal(url: string, status: number): RemoteError {
  switch (status) {
    case 401:
    case 403:
      return new RemoteError(
        'refused',
        `${url} does not let this service in (${status}): check the repository's credentials`,
      );
    case 404:
    case 410:
      return new RemoteError(
        'refused',
        `${url} is no server of Git LFS, or not for this service (${status})`,
      );
    default:
      return new RemoteError('unreachable', `${url} answers ${status}`);
  }
}

/** What a server may have us say; not what frames the request or names its host. */
function headersOf({ header = {} }: Static<typeof actionSchema>): Record<string, string> {
  const own = ['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect'];
  const given = Object.entries(header).filter(([name]) => !own.includes(name.toLowerCase()));
  for (const [name, value] of given) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch (cause) {
      throw new RemoteError('refused', 'a server of Git LFS asks for a header that cannot be sent', {
        cause,
      });
    }
  }
  return Object.fromEntries(given);
}

/** Some servers write null for what is not there. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown) => value ?? undefined);
  } catch {
    return undefined;
  }
}

function sameOrigin(a: string, b: string): boolean {
  return URL.canParse(a) && new URL(a).origin === new URL(b).origin;
}
