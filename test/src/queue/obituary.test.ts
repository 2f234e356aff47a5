import { expect, test } from 'vitest';
import { createObituary } from '../../../src/queue/obituary.ts';

/** Looks once a second at workers whose heartbeats are given; returns when each was found dead, in seconds. */
function deaths(beats: (second: number) => Record<string, number>, seconds: readonly number[]) {
  const obituary = createObituary(15_000, 2_000);
  const dead = new Map<string, number>();
  for (const second of seconds) {
    const seen = new Map(Object.entries(beats(second)).map(([session, beat]) => [session, String(beat)]));
    for (const [session] of obituary.look(seen, second * 1000))
      if (!dead.has(session)) dead.set(session, second);
  }
  return Object.fromEntries(dead);
}

const seconds = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

test('a worker whose heartbeat stands still for the lock time is dead; the others are not', () => {
  const beats = (second: number) => ({
    living: Math.floor(second / 3),
    killed: Math.min(4, Math.floor(second / 3)),
  });
  expect(deaths(beats, seconds(100, 140))).toEqual({ killed: 115 });
});

test('a process that was stopped itself takes nobody for dead', () => {
  const beats = (second: number) => ({ living: Math.floor(second / 3) });
  expect(deaths(beats, [...seconds(0, 10), ...seconds(600, 620)])).toEqual({});
});

test('a Redis that was stopped, with all heartbeats, kills nobody', () => {
  const beats = (second: number) => ({ living: second < 62 ? 3 : Math.floor(second / 3) });
  expect(deaths(beats, [...seconds(0, 10), ...seconds(60, 80)])).toEqual({});
});
