import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { generic } from '../../../src/triggers/generic.ts';
import { a, b, read, zeros } from './samples.ts';

const body = Buffer.from(JSON.stringify({ refs: [{ ref: 'refs/heads/main', before: a, after: b }] }));
const sign = (timestamp: string, secret = 'secret') => ({
  'x-cofferdam-timestamp': timestamp,
  'x-cofferdam-signature': `sha256=${createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')}`,
});
const secondsFromNow = (seconds: number) => String(Math.floor(Date.now() / 1000) + seconds);
const now = secondsFromNow(0);

test('each ref is an event', () => {
  const refs = [
    { ref: 'refs/heads/main', before: a, after: b, message: 'Hi', author: 'Ann', email: 'ann@example.org' },
    { ref: 'refs/tags/v1', before: zeros, after: b },
    { ref: 'refs/heads/gone', before: a, after: zeros },
  ];
  expect(
    read('generic', '', { repository: 'hello', actor: 'ann', at: '2026-01-01T00:00:00Z', refs }),
  ).toEqual([
    {
      kind: 'build',
      trust: 'trusted',
      source: { ref: 'refs/heads/main', sha: b },
      trigger: {
        kind: 'push',
        branch: 'main',
        before: a,
        actor: 'ann',
        at: '2026-01-01T00:00:00.000Z',
        commit: { message: 'Hi', author: 'Ann', email: 'ann@example.org' },
      },
    },
    expect.objectContaining({ trigger: expect.objectContaining({ kind: 'tag', tag: 'v1' }) }),
    { kind: 'ignored', reason: 'refs/heads/gone was deleted' },
  ]);
});

describe('a signature', () => {
  test.each<[string, object, boolean]>([
    ['of now', sign(now), true],
    ['of four minutes ago', sign(secondsFromNow(-240)), true],
    ['of an hour ago', sign(secondsFromNow(-3600)), false],
    ['of tomorrow', sign(secondsFromNow(86_400)), false],
    ['by another secret', sign(now, 'other'), false],
    ['for another time', { ...sign(now), 'x-cofferdam-timestamp': secondsFromNow(-1) }, false],
    ['without time', { ...sign(now), 'x-cofferdam-timestamp': undefined }, false],
    ['with a time that is none', sign('now'), false],
    ['of nothing', {}, false],
  ])('%s: %s', (_what, headers, expected) => {
    expect(generic.authenticate({ headers: { ...headers }, body }, ['secret'])).toBe(expected);
  });
});

test('the same move at another time is another delivery', () => {
  const [first, again, later] = [sign(now), sign(now), sign(secondsFromNow(1))].map((each) =>
    generic.deliveryId(each),
  );
  expect(again).toBe(first);
  expect(later).not.toBe(first);
});
