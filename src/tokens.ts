import { createHash, randomBytes } from 'node:crypto';
import { ulid } from 'ulid';
import { parseOwn } from './records/json.ts';
import type { RedisHandle } from './redis.ts';

/** What a token allows: look, submit and cancel builds, or everything. `admin` implies the others. */
export type Scope = 'read' | 'submit' | 'admin';

/** A token as it is kept: never the secret itself. */
export interface Token {
  /** ULID. */
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Builds of these alone: names, or `owner/*` for all that begin so; undefined: the whole service. */
  readonly projects?: readonly string[];
  /** ISO 8601. */
  readonly createdAt: string;
}

export interface Tokens {
  /** Makes a token; the secret is shown this once. `secret`: keeps this one, made by newSecret() before. */
  create(token: {
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly projects?: readonly string[];
    readonly secret?: string;
  }): Promise<{ token: Token; secret: string }>;
  /** Whose secret it is. Looked up by its hash, so that the time it takes says nothing about the secret. */
  verify(secret: string): Promise<Token | undefined>;
  /** Oldest first. */
  list(): Promise<Token[]>;
  /** False: there was no such token. */
  revoke(id: string): Promise<boolean>;
}

/** Whether a token is good for a project. Like names of repositories, these differ by more than upper and lower case. */
export function isFor({ projects }: Token, project: string): boolean {
  const wanted = project.toLowerCase();
  return (
    projects === undefined ||
    projects.some((each) => {
      const name = each.toLowerCase();
      return name.endsWith('/*') ? wanted.startsWith(name.slice(0, -1)) : wanted === name;
    })
  );
}

/** 256 random bits. */
export function newSecret(): string {
  return `cof_${randomBytes(32).toString('base64url')}`;
}

/** Tokens are in the hash `tokens`, by the SHA-256 of their secrets: with 256 random bits nothing slower is needed. */
export function openTokens({ client, prefix }: RedisHandle): Tokens {
  const key = `${prefix}tokens`;
  const all = async (): Promise<[hash: string, token: Token][]> =>
    Object.entries(await client.hgetall(key)).map(([hash, text]) => [hash, parseOwn<Token>(text)]);
  return {
    create: async ({ name, scopes, projects, secret = newSecret() }) => {
      const createdAt = new Date().toISOString();
      const token: Token = { id: ulid(), name, scopes, ...(projects && { projects }), createdAt };
      const hash = hashOf(secret);
      // A secret that is known already keeps its token.
      await client.hsetnx(key, hash, JSON.stringify(token));
      const kept = await client.hget(key, hash);
      return { token: kept === null ? token : parseOwn<Token>(kept), secret };
    },
    verify: async (secret) => {
      const text = await client.hget(key, hashOf(secret));
      return text === null ? undefined : parseOwn<Token>(text);
    },
    list: async () => {
      const tokens = (await all()).map(([, token]) => token);
      return tokens.sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    revoke: async (id) => {
      const hashes = (await all()).filter(([, token]) => token.id === id).map(([hash]) => hash);
      return hashes.length > 0 && (await client.hdel(key, ...hashes)) > 0;
    },
  };
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}
