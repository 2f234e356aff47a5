import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTokens, type Tokens } from '../../../src/tokens.ts';
import { provideToken } from '../../../src/up/token.ts';
import { useRedis } from '../../redis.ts';

const redis = useRedis();
let dir: string;
let file: string;
let tokens: Tokens;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cofferdam-token-'));
  file = join(dir, 'data', 'token');
  tokens = openTokens(await redis.connect());
});
afterEach(() => rmSync(dir, { recursive: true }));

const secret = () => readFileSync(file, 'utf8').trim();

test('the first one is made, for its owner alone, and kept', async () => {
  expect(await provideToken(file, tokens)).toBe('made');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await tokens.verify(secret())).toMatchObject({ scopes: ['admin'] });
  const first = secret();
  expect(await provideToken(file, tokens)).toBe('known');
  expect(secret()).toBe(first);
  expect(await tokens.list()).toHaveLength(1);
});

test('one that was written before a crash is made known', async () => {
  await provideToken(file, tokens);
  const later = openTokens(await redis.connect());
  expect(await provideToken(file, later)).toBe('made');
  expect(await later.verify(secret())).toBeDefined();
});

test('one that was revoked stays revoked', async () => {
  await provideToken(file, tokens);
  await tokens.create({ name: 'other', scopes: ['read'] });
  const token = await tokens.verify(secret());
  await tokens.revoke(token?.id ?? '');
  expect(await provideToken(file, tokens)).toBe('foreign');
  expect(await tokens.verify(secret())).toBeUndefined();
});

test('a file that is lost is written again, and never readable by others', async () => {
  await provideToken(file, tokens);
  rmSync(file);
  expect(await provideToken(file, tokens)).toBe('made');
  writeFileSync(file, '');
  chmodSync(file, 0o644);
  expect(await provideToken(file, tokens)).toBe('made');
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
