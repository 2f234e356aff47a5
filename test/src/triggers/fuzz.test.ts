import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { forges } from '../../../src/repositories.ts';
import { PayloadError } from '../../../src/triggers/forge.ts';
import { forgeOf } from '../../../src/triggers/forges.ts';
import { fractionsFrom } from '../../random.ts';
import { githubPush, makeRepository, signed } from './samples.ts';

const events = [
  'push',
  'pull_request',
  'Push Hook',
  'Tag Push Hook',
  'Merge Request Hook',
  'repo:push',
].concat(['pullrequest:created', 'repo:refs_changed', 'pr:opened']);

/** Payloads with everything that is looked at, to be damaged. */
const whole: readonly unknown[] = [
  githubPush(),
  ...JSON.parse(readFileSync(new URL(import.meta.resolve('@octokit/webhooks-examples')), 'utf8')).flatMap(
    (each: { name: string; examples: unknown[] }) =>
      each.name === 'pull_request' || each.name === 'push' ? each.examples.slice(0, 3) : [],
  ),
];

const junk = [
  null,
  0,
  -1,
  1e308,
  '',
  'x',
  '--output=x',
  '\u0000',
  '[skip ci]',
  [],
  {},
  [[]],
  true,
  'refs/heads/..',
];

function damage(value: unknown, random: () => number): unknown {
  if (random() < 0.03) return junk[Math.floor(random() * junk.length)];
  if (Array.isArray(value)) return value.slice(0, 3).map((each) => damage(each, random));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(() => random() > 0.02);
  return Object.fromEntries(entries.map(([name, each]) => [name, damage(each, random)]));
}

test('no payload does more than make an event or a PayloadError', () => {
  const random = fractionsFrom(4);
  const seen = { read: 0, refused: 0 };
  for (let round = 0; round < 1000; round++) {
    const payload = damage(whole[round % whole.length], random);
    const event = events[round % events.length] ?? '';
    for (const kind of forges) {
      try {
        const made = forgeOf(kind).read(
          signed(kind, payload, 's', { event }),
          makeRepository({ forge: kind }),
        );
        expect(made.every((each) => each.kind === 'build' || each.reason !== '')).toBe(true);
        seen.read++;
      } catch (error) {
        if (!(error instanceof PayloadError)) throw error;
        expect(error.message).toMatch(/\w/);
        seen.refused++;
      }
    }
  }
  expect(Math.min(seen.read, seen.refused)).toBeGreaterThan(500);
});

test.each([
  ['deep nesting', '['.repeat(200_000)],
  ['bytes that are no text', '\ufffd\u0000'],
  ['nothing', ''],
  ['a prototype', '{"__proto__":{"ref":"x"},"constructor":1}'],
])('%s is refused', (_what, body) => {
  for (const kind of forges) {
    const event = kind === 'gitlab' ? 'Push Hook' : kind === 'bitbucket' ? 'repo:push' : 'push';
    const message = signed(kind, body, 's', { event });
    expect(() => forgeOf(kind).read(message, makeRepository({ forge: kind }))).toThrow(PayloadError);
  }
});
