import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { parseOwn } from '../../../src/records/json.ts';
import type { ForgeKind } from '../../../src/repositories.ts';

/** What a forge does with a request: takes it, or how it fails. `lost`: takes it, and the reply never arrives. */
export type Mood =
  | 'well'
  | 'lost'
  | 'silent'
  | 'reset'
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };

/** A status that the forge took. */
export interface Taken {
  readonly commit: string;
  readonly context: string;
  readonly state: string;
  readonly description: string;
  readonly url: string;
}

interface Request {
  readonly method: string;
  readonly url: string;
  readonly authorization: string;
}

export interface ForgeServer {
  url: string;
  readonly taken: Taken[];
  /** All that came, also what was not taken. */
  readonly requests: Request[];
  mood: (request: Request) => Mood;
  close(): Promise<void>;
}

/** Where each forge expects statuses, below its API, how it wants to be asked, and the states that it has. */
const manners = {
  github: {
    path: /^\/repos\/acme\/[\w-]+\/statuses\/([0-9a-f]{40})$/,
    header: 'authorization',
    token: 'Bearer right',
    states: ['pending', 'success', 'failure', 'error'],
    fields: ['context', 'target_url'],
    longest: 140,
  },
  gitea: {
    path: /^\/repos\/acme\/[\w-]+\/statuses\/([0-9a-f]{40})$/,
    header: 'authorization',
    token: 'token right',
    states: ['pending', 'success', 'failure', 'error', 'warning'],
    fields: ['context', 'target_url'],
    longest: 255,
  },
  gitlab: {
    path: /^\/projects\/acme%2F[\w-]+\/statuses\/([0-9a-f]{40})$/,
    header: 'private-token',
    token: 'right',
    states: ['pending', 'running', 'success', 'failed', 'canceled'],
    fields: ['name', 'target_url'],
    longest: 255,
  },
  bitbucket: {
    path: /^\/projects\/acme\/repos\/[\w-]+\/commits\/([0-9a-f]{40})\/builds$/,
    header: 'authorization',
    token: 'Bearer right',
    states: ['INPROGRESS', 'SUCCESSFUL', 'FAILED', 'CANCELLED'],
    fields: ['key', 'url'],
    longest: 255,
  },
  'bitbucket cloud': {
    path: /^\/2\.0\/repositories\/acme\/[\w-]+\/commit\/([0-9a-f]{40})\/statuses\/build$/,
    header: 'authorization',
    token: 'Bearer right',
    states: ['INPROGRESS', 'SUCCESSFUL', 'FAILED', 'STOPPED'],
    fields: ['key', 'url'],
    longest: 255,
  },
} as const;
export type Kind = keyof typeof manners;

export function forgeKind(kind: Kind): ForgeKind {
  return kind === 'bitbucket cloud' ? 'bitbucket' : kind;
}

/** A forge as far as commit statuses go: it refuses what is not as its API wants it, and remembers what it took. */
export async function startForge(kind: Kind): Promise<ForgeServer> {
  const forge: ForgeServer = {
    url: '',
    taken: [],
    requests: [],
    mood: () => 'well',
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request);
    const { method = '', url = '', headers } = request;
    const { header } = manners[kind];
    const seen = { method, url, authorization: String(headers[header]) };
    forge.requests.push(seen);
    const mood = forge.mood(seen);
    if (mood === 'silent') return;
    if (mood === 'reset') return void request.socket.resetAndDestroy();
    if (typeof mood === 'object') {
      response.writeHead(mood.status, mood.headers).end(mood.body);
      return;
    }
    const { status, said } = take(kind, forge.taken, { ...seen, body, type: headers['content-type'] ?? '' });
    if (mood === 'lost') return void request.socket.resetAndDestroy();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message: said }));
  };
  const server = createServer((request, response) => {
    // A client that has gone away.
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  forge.url = `http://127.0.0.1:${portOf(server)}${kind === 'bitbucket cloud' ? '/2.0' : ''}`;
  return forge;
}

function take(
  kind: Kind,
  taken: Taken[],
  { method, url, authorization, body, type }: Request & { readonly body: string; readonly type: string },
): { readonly status: number; readonly said: string } {
  const { path, token, states, fields, longest } = manners[kind];
  if (authorization !== token) return { status: 401, said: 'Bad credentials' };
  const commit = path.exec(url)?.[1];
  if (method !== 'POST' || commit === undefined) return { status: 404, said: 'Not Found' };
  if (!type.startsWith('application/json')) return { status: 415, said: 'not JSON' };
  const status = parseOwn<Record<string, string>>(body);
  const [context = '', target = ''] = fields.map((name) => status[name]);
  const { state = '', description = '' } = status;
  const known = (states as readonly string[]).includes(state);
  if (!known || context === '' || !URL.canParse(target) || description.length > longest) {
    return { status: 422, said: `not acceptable: ${body}` };
  }
  const last = taken.findLast((each) => each.commit === commit && each.context === context)?.state;
  if (kind === 'gitlab' && (state === 'pending' || state === 'running')) {
    // Its state machine; a status that has ended is followed by a new one.
    const event = { pending: 'enqueue', running: 'run' }[state];
    if (last === state || (state === 'pending' && last === 'running')) {
      return { status: 400, said: `Cannot transition status via :${event} from :${last} (Reason(s): …)` };
    }
  }
  taken.push({ commit, context, state, description, url: target });
  return { status: 201, said: 'Created' };
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address === 'object' && address) return address.port;
  throw new Error('the server does not listen');
}
