import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Abort, AbortedError, createAbort, unlessAborted } from '../../workers/abort.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const stateOf = ({ reason, stopping, killed }: Abort) =>
  [reason, killed.aborted ? 'killed' : stopping.aborted ? 'stopping' : 'running'] as const;

describe('a build is stopped', () => {
  test('by its timeout, and killed 10 s later', () => {
    const abort = createAbort(60_000);
    vi.advanceTimersByTime(59_999);
    expect(stateOf(abort)).toEqual([undefined, 'running']);
    vi.advanceTimersByTime(1);
    expect(stateOf(abort)).toEqual(['timeout', 'stopping']);
    vi.advanceTimersByTime(9_999);
    expect(stateOf(abort)).toEqual(['timeout', 'stopping']);
    vi.advanceTimersByTime(1);
    expect(stateOf(abort)).toEqual(['timeout', 'killed']);
  });

  test('by a request, and killed 1.5 s later', () => {
    const abort = createAbort(60_000);
    abort.request('canceled');
    expect(stateOf(abort)).toEqual(['canceled', 'stopping']);
    vi.advanceTimersByTime(1_499);
    expect(stateOf(abort)).toEqual(['canceled', 'stopping']);
    vi.advanceTimersByTime(1);
    expect(stateOf(abort)).toEqual(['canceled', 'killed']);
  });

  test('by a second request at once', () => {
    const abort = createAbort(60_000);
    abort.request('canceled');
    abort.request('canceled');
    expect(stateOf(abort)).toEqual(['canceled', 'killed']);
  });

  test('for the first reason, whatever comes later', () => {
    const timedOut = createAbort(1);
    vi.advanceTimersByTime(1);
    timedOut.request('canceled');
    expect(stateOf(timedOut)).toEqual(['timeout', 'killed']);

    const canceled = createAbort(1000);
    canceled.request('canceled');
    vi.advanceTimersByTime(1000);
    expect(stateOf(canceled)).toEqual(['canceled', 'stopping']);
  });

  test('no more after it is over: no timer is left', () => {
    const abort = createAbort(60_000);
    abort.request('canceled');
    abort.release();
    expect(vi.getTimerCount()).toBe(0);
    expect(stateOf(abort)).toEqual(['canceled', 'stopping']);
  });
});

describe('waiting unless aborted', () => {
  test('gives what the work gives', async () => {
    const { signal } = new AbortController();
    await expect(unlessAborted(signal, Promise.resolve(5))).resolves.toBe(5);
    await expect(unlessAborted(signal, Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  test('ends when the signal comes, also before it began; that the work fails later is nobody’s concern', async () => {
    const controller = new AbortController();
    const work = Promise.withResolvers<never>();
    const waiting = unlessAborted(controller.signal, work.promise);
    controller.abort();
    await expect(waiting).rejects.toThrow(AbortedError);
    await expect(unlessAborted(controller.signal, work.promise)).rejects.toThrow(AbortedError);
    work.reject(new Error('too late'));
  });
});
