import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../../runtime/command.ts';
import { cleanGit } from './repository.ts';

export interface HttpGitOptions {
  /** Asked for with HTTP Basic; without it everybody may read and push. */
  readonly auth?: { readonly user: string; readonly password: string };
  /** Speaks https with this. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Milliseconds before each answer. */
  readonly delayMs?: number;
  /** Answers itself and returns true, or leaves the request to git. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
}

export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly host: string;
  readonly authorization: string | undefined;
}

export interface HttpGitServer {
  /** `http://127.0.0.1:PORT`; a repository is below by its path in `root`. */
  readonly url: string;
  readonly port: number;
  /** All so far, refused ones too. */
  readonly requests: readonly SeenRequest[];
  stop(): Promise<void>;
}

/** Git's own smart HTTP (git-http-backend(1)) for the bare repositories below `root`, on a free loopback port. */
export async function serveHttp(root: string, options: HttpGitOptions = {}): Promise<HttpGitServer> {
  const requests: SeenRequest[] = [];
  const { auth } = options;
  const wanted = auth && `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`;

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url: path = '' } = request;
    const { host = '', authorization } = request.headers;
    requests.push({ method, path, host, authorization });
    if (options.delayMs !== undefined) await sleep(options.delayMs);
    if (await options.intercept?.(request, response)) return;
    if (wanted !== undefined && authorization !== wanted) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end('who are you?\n');
      return;
    }
    backend(root, request, response, auth?.user);
  };
  const listener: RequestListener = (request, response) => {
    answer(request, response).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  };

  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { port } = address;
  return {
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    requests,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** One request by CGI (RFC 3875). */
function backend(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  user: string | undefined,
): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://server');
  const header = (name: string) => String(request.headers[name] ?? '');
  const cgi = start(
    {
      file: 'git',
      args: ['http-backend'],
      env: {
        ...cleanGit,
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: decodeURIComponent(pathname),
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: header('content-type'),
        CONTENT_LENGTH: header('content-length'),
        HTTP_CONTENT_ENCODING: header('content-encoding'),
        GIT_PROTOCOL: header('git-protocol'),
        REMOTE_ADDR: '127.0.0.1',
        ...(user !== undefined && { REMOTE_USER: user }),
      },
    },
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  const { stdin, stdout } = cgi;
  if (!stdin || !stdout) throw new Error('git http-backend was started without pipes');
  cgi.on('error', (error) => response.destroy(error));
  response.on('close', () => cgi.kill());
  stdin.on('error', () => {});
  request.pipe(stdin);

  let head = Buffer.alloc(0);
  const readHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    stdout.off('data', readHead);
    for (const line of head.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(/:\s*/, 2);
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.write(head.subarray(end + 4));
    stdout.pipe(response);
  };
  stdout.on('data', readHead);
}

/** The same while something works with it. */
export async function withHttp<T>(
  root: string,
  options: HttpGitOptions,
  work: (server: HttpGitServer) => Promise<T>,
): Promise<T> {
  const server = await serveHttp(root, options);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}
