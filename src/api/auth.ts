import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Scope, Token, Tokens } from '../tokens.ts';
import type { Reach } from './availability.ts';
import { Problem } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a token must be allowed to do; `none`: the route needs no token. Every route names one. */
    access?: Scope | 'none';
    /** Its handler asks what projects the token is good for; other routes refuse tokens that are not for all. */
    limited?: 'by-project';
  }
  interface FastifyRequest {
    /** Whose request it is; on routes with access `none` nobody's. */
    token: Token | undefined;
  }
}

interface Gate {
  readonly tokens: Tokens;
  readonly reach: Reach;
  /** Told of each request without a valid token; throws Problem (429) when there are too many. */
  readonly countStranger: (request: FastifyRequest) => Promise<void>;
}

const challenge = 'Bearer realm="cofferdam"';

/**
 * Lets a request through when its bearer token (RFC 6750) has the scope that the route names: 401 without a token
 * that is known (429 when that is tried too often), 403 without the scope. Runs before the body is read. A route
 * without `config.access` is a mistake and stops the start.
 */
export function requireTokens(app: FastifyInstance, { tokens, reach, countStranger }: Gate): void {
  app.decorateRequest('token', undefined);
  app.addHook('onRoute', ({ method, url, config }) => {
    if (!config?.access) throw new TypeError(`${String(method)} ${url}: config.access is missing`);
  });
  app.addHook('onRequest', async (request) => {
    const { access, limited } = request.routeOptions.config;
    if (request.is404 || access === undefined || access === 'none') return;
    const secret = bearer(request);
    const token = secret === undefined ? undefined : await reach(() => tokens.verify(secret));
    if (!token) {
      await countStranger(request);
      if (secret === undefined) {
        throw new Problem(401, 'send a token: Authorization: Bearer cof_…', {
          headers: { 'www-authenticate': challenge },
        });
      }
      throw new Problem(401, 'the token is not known, or was revoked', {
        headers: { 'www-authenticate': `${challenge}, error="invalid_token"` },
      });
    }
    if (!token.scopes.includes(access) && !token.scopes.includes('admin')) {
      throw new Problem(403, `the token lacks the scope ${access}`, {
        headers: { 'www-authenticate': `${challenge}, error="insufficient_scope", scope="${access}"` },
      });
    }
    if (token.projects && limited === undefined) throw outside(token, 'this is of the whole service');
    request.token = token;
  });
}

/** A token that is for some projects was used for something else. */
export function outside({ projects = [] }: Token, what: string): Problem {
  return new Problem(403, `the token is for ${projects.join(', ')} alone; ${what}`);
}

/** The token's owner, on a route that needs one. */
export function tokenOf({ token }: Pick<FastifyRequest, 'token'>): Token {
  if (!token) throw new TypeError('a route with access none has no token');
  return token;
}

/** The token that a request shows; undefined: it has none, or what cannot be one. */
function bearer(request: FastifyRequest): string | undefined {
  return /^Bearer +(cof_[A-Za-z0-9_-]{43}) *$/i.exec(request.headers.authorization ?? '')?.[1];
}
