import { expect, test } from 'vitest';
import { answerOf } from '../../../src/statuses/answer.ts';
import { backoffMs, createRests } from '../../../src/statuses/rests.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
type Headers_ = Record<string, string>;

test.for<[number, Headers_, string, object]>([
  [200, {}, '', { kind: 'accepted' }],
  [201, {}, '{}', { kind: 'accepted' }],
  // GitLab has that state already.
  [400, {}, '{"message":"Cannot transition status via :run from :running"}', { kind: 'accepted' }],
  [400, {}, 'bad\n  request', { kind: 'denied', why: 'it answers 400: bad request' }],
  [
    301,
    { location: 'https://b.example/' },
    '',
    { kind: 'denied', why: 'it answers 301, a redirect to https://b.example/' },
  ],
  [401, {}, '', { kind: 'denied', why: 'it answers 401' }],
  [403, {}, '', { kind: 'denied', why: 'it answers 403' }],
  [404, {}, '', { kind: 'denied', why: 'it answers 404' }],
  [422, {}, '', { kind: 'denied', why: 'it answers 422' }],
  [429, { 'retry-after': '7' }, '', { kind: 'failed', why: 'it answers 429', afterMs: 7_000 }],
  [429, { 'retry-after': 'Thu, 01 Jan 2026 00:00:09 GMT' }, '', { kind: 'failed', afterMs: 9_000 }],
  [429, { 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, '', { kind: 'failed', afterMs: 0 }],
  [429, { 'retry-after': 'soon' }, '', { kind: 'failed', why: 'it answers 429' }],
  [429, { 'retry-after': '86400' }, '', { kind: 'failed', afterMs: 3_600_000 }],
  [403, { 'retry-after': '60' }, '', { kind: 'failed', afterMs: 60_000 }],
  [
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(now / 1000 + 90) },
    '',
    { kind: 'failed', afterMs: 90_000 },
  ],
  [403, { 'x-ratelimit-remaining': '17', 'x-ratelimit-reset': '1' }, '', { kind: 'denied' }],
  [408, {}, '', { kind: 'failed' }],
  [500, {}, '', { kind: 'failed' }],
  [502, {}, '', { kind: 'silent' }],
  [504, { 'retry-after': '1' }, '', { kind: 'silent', afterMs: 1_000 }],
  [503, { 'retry-after': '1' }, '', { kind: 'failed', afterMs: 1_000 }],
])('%i with %o means %s %o', ([status, headers, body, expected]) => {
  const answer = answerOf(status, new Headers(headers), body, now);
  expect(answer).toMatchObject(expected);
  if (!('afterMs' in expected)) expect(answer).not.toHaveProperty('afterMs');
});

test('waiting times double up to a limit, and up to half of them is chance', () => {
  const backoff = { firstMs: 100, mostMs: 1_000 };
  for (const [failures, longest] of [
    [0, 100],
    [1, 200],
    [3, 800],
    [4, 1_000],
    [5_000, 1_000],
  ] as const) {
    const times = Array.from({ length: 200 }, () => backoffMs(backoff, failures));
    expect(Math.max(...times)).toBeLessThanOrEqual(longest);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(longest / 2);
    expect(new Set(times).size).toBeGreaterThan(100);
  }
});

test('a forge that failed rests, longer with each failure, and others do not', () => {
  const rests = createRests({ firstMs: 100, mostMs: 10_000 });
  rests.failed('a', 0, undefined, 1_000);
  // Sent before the first one had failed: one outage, not two.
  rests.failed('a', 10, undefined, 1_001);
  expect(rests.left('a', 1_001)).toBeLessThanOrEqual(100);
  expect(rests.left('a', 1_001)).toBeGreaterThan(40);
  expect(rests.left('b', 1_001)).toBe(0);
  rests.failed('a', 1_200, undefined, 1_300);
  expect(rests.left('a', 1_300)).toBeGreaterThanOrEqual(100);
  rests.failed('a', 1_600, 5_000, 1_700);
  expect(rests.left('a', 1_700)).toBe(5_000);
  rests.answered('a');
  expect(rests.left('a', 1_701)).toBe(0);
});
