import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BuildRecord } from '../../../src/build.ts';
import type { PublicBuild } from '../../../src/api/record.ts';
import { eventsOf } from '../../../src/client/sse.ts';
import { LogMissing, type LogReader } from '../../../src/logs.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { defaultTiming } from '../../../src/queue/timing.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';
import { type Job, startWorker, until } from './worker.ts';

const redis = useRedis();
let service: TestService;
let address: string;
let worker: Consumer | undefined;
beforeAll(async () => {
  const timing = { ...defaultTiming, tickMs: 50, backoffMs: [50, 50] };
  service = await startService(await redis.connect(), { heartbeatMs: 100, timing });
  address = await service.listen();
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
  // Whoever follows is gone when the test is.
  await until(async () => (await metric('cofferdam_log_followers')) === 0);
});
afterAll(() => service.stop());

const workflow = 'image: a\nsteps: [{ name: s, commands: [x] }]';

async function metric(name: string): Promise<number> {
  const { body } = await service.app.inject({ url: '/metrics' });
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(body)?.[1]);
}

async function submit(): Promise<string> {
  const response = await service.app.inject({
    method: 'POST',
    url: '/v1/builds',
    headers: { authorization: service.bearer.submit },
    payload: { project: 'p', source: { kind: 'none' }, workflow },
  });
  return response.json<PublicBuild>().id;
}

const get = (id: string, headers: Record<string, string>, query = '', signal?: AbortSignal) =>
  fetch(`${address}/v1/builds/${id}/logs${query}`, {
    headers: { authorization: service.bearer.read, ...headers },
    ...(signal && { signal }),
  });

const sse = { accept: 'text/event-stream' };
const bodyOf = ({ body }: Response): AsyncIterable<Uint8Array> => body ?? new ReadableStream<Uint8Array>();

interface LogEvent {
  readonly type: string;
  readonly id: string;
  readonly attempt?: number;
  readonly offset?: number;
  readonly step?: string;
  readonly text?: string;
  readonly base64?: string;
  readonly cutBytes?: number;
  readonly status?: string;
  readonly name?: string;
  readonly record?: BuildRecord;
}

async function events(response: Response): Promise<LogEvent[]> {
  const all: LogEvent[] = [];
  for await (const { type, data, lastEventId } of eventsOf(bodyOf(response))) {
    all.push({ ...JSON.parse(data), type, id: lastEventId });
  }
  return all;
}

const logsOf = (all: readonly LogEvent[]) => all.filter(({ type }) => type === 'log');
const bytesOf = (all: readonly LogEvent[]) =>
  Buffer.concat(
    logsOf(all).map(({ text, base64 }) =>
      text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text),
    ),
  );

async function passed(
  job: Job,
  chunks: readonly (Buffer | string | number)[],
): Promise<{ status: 'passed' }> {
  for (const chunk of chunks) {
    if (typeof chunk === 'number') await sleep(chunk);
    else await job.log.append('test', Buffer.from(chunk));
  }
  return { status: 'passed' };
}

async function finished(chunks: readonly (Buffer | string)[]): Promise<string> {
  worker = startWorker(service, (job) => passed(job, chunks));
  const id = await submit();
  await until(async () => (await service.records.get(id))?.record.status === 'passed');
  return id;
}

/** Takes away everything of a finished build's log. */
async function lose(id: string): Promise<void> {
  const { redis: handle, storage } = service;
  const key = `${handle.prefix}b:${id}`;
  await until(async () => (await handle.client.hget(key, 'at')) === 'archived');
  await storage.removeAll(`builds/${id}/attempts/`);
  await handle.client.del(`${handle.prefix}log:${id}:1`);
}

describe('text/event-stream', () => {
  test('follows a build from the queue to its end', async () => {
    const id = await submit();
    const following = get(id, sse).then(events);
    await sleep(50);
    worker = startWorker(service, async (job) => {
      await job.step('compile', 'running');
      await job.log.append('compile', Buffer.from('cc\n'));
      await sleep(60);
      await job.step('compile', 'passed');
      await job.log.append('test', Buffer.from('ok\n'));
      return { status: 'failed', reason: 'exit' };
    });
    const all = await following;
    expect(
      all.filter(({ type }) => type === 'status').map(({ status, attempt }) => [status, attempt]),
    ).toEqual([
      ['queued', 0],
      ['running', 1],
      // The end may come before the last status does.
      ...(all.some(({ status }) => status === 'failed') ? [['failed', 1]] : []),
    ]);
    expect(logsOf(all).map(({ step, offset, text, id: eventId }) => [step, offset, text, eventId])).toEqual([
      ['compile', 0, 'cc\n', '1:3'],
      ['test', 3, 'ok\n', '1:6'],
    ]);
    const steps = all.filter(({ type }) => type === 'step');
    expect(steps.map(({ name, status }) => [name, status])).toEqual([
      ['compile', 'running'],
      ['compile', 'passed'],
    ]);
    expect(all.at(-1)).toMatchObject({
      type: 'end',
      id: 'end',
      record: { id, status: 'failed', reason: 'exit' },
    });
    expect(all.at(-1)?.record).not.toHaveProperty('storage');
  });

  test('says first how soon to come back, and breaks silence', async () => {
    const id = await submit();
    const abort = new AbortController();
    const response = await get(id, sse, '', abort.signal);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    let text = '';
    for await (const chunk of bodyOf(response)) {
      text += Buffer.from(chunk).toString();
      if (text.split(': still here').length > 3) break;
    }
    expect(text).toMatch(/^retry: 2000\n\nevent: status\ndata: .*\n\n(: still here\n\n)+$/);
  });

  test('is every byte once and in order, whatever the bytes and wherever it is taken up', async () => {
    const text = Buffer.from('Grüße, 世界 🚧\r\n\u2028\0'.repeat(2000));
    const chunks: Buffer[] = [];
    for (let at = 0; at < text.length; at += 997) chunks.push(text.subarray(at, at + 997));
    chunks.push(
      randomBytes(300_000),
      Buffer.from([0xe4, 0xb8]),
      Buffer.from([0x96]),
      Buffer.alloc(70_000, '\n'),
    );
    const whole = Buffer.concat(chunks);
    const id = await submit();
    const live = get(id, sse).then(events);
    worker = startWorker(service, (job) =>
      passed(
        job,
        chunks.flatMap((chunk, i) => (i % 20 ? [chunk] : [chunk, 15])),
      ),
    );
    const all = await live;
    expect(bytesOf(all).equals(whole)).toBe(true);
    expect(logsOf(all).map(({ offset }) => offset)).toEqual(
      logsOf(all).map((_, i) => bytesOf(logsOf(all).slice(0, i)).length),
    );
    // Afterwards, from the archive, from any event on, and from any byte.
    const ids = logsOf(all).map((event) => event.id);
    for (const lastEventId of [ids[0], ids[Math.floor(ids.length / 2)], ids.at(-1)]) {
      const rest = await get(id, { ...sse, 'last-event-id': String(lastEventId) }).then(events);
      const from = Number(lastEventId?.split(':')[1]);
      expect([lastEventId, bytesOf(rest).equals(whole.subarray(from))]).toEqual([lastEventId, true]);
      expect(rest.at(-1)?.type).toBe('end');
    }
    for (const after of [0, 1, 1000, 262_143, 262_144, whole.length - 1, whole.length]) {
      const rest = await get(id, sse, `?after=${after}`).then(events);
      expect([after, bytesOf(rest).equals(whole.subarray(after))]).toEqual([after, true]);
    }
  });

  test('keeps text readable where characters are cut in two', async () => {
    const [first, second] = [Buffer.from('Grü').subarray(0, 3), Buffer.from('ü').subarray(1)];
    const id = await finished([first, second, 'ße']);
    const all = await get(id, sse).then(events);
    expect(bytesOf(all).toString()).toBe('Grüße');
    expect(
      logsOf(all).every(
        ({ text, base64 }) => text !== undefined || Buffer.from(base64 ?? '', 'base64').length < 3,
      ),
    ).toBe(true);
  });

  test('answers 204 to who has seen the end, so that an EventSource stops', async () => {
    const id = await finished(['x']);
    const response = await get(id, { ...sse, 'last-event-id': 'end' });
    expect(response.status).toBe(204);
  });

  test.each(['x', '-1', '1:x', '1', '0:99999999999999999999'])(
    'refuses the Last-Event-ID %s',
    async (lastEventId) => {
      const id = await submit();
      expect((await get(id, { ...sse, 'last-event-id': lastEventId })).status).toBe(400);
    },
  );

  test('ends at once for a build that was canceled in the queue', async () => {
    const id = await submit();
    const following = get(id, sse).then(events);
    await sleep(30);
    await service.queue.cancel(id);
    const all = await following;
    expect(all.at(-1)).toMatchObject({ type: 'end', record: { status: 'canceled' } });
    expect((await get(id, sse).then(events)).map(({ type }) => type)).toEqual(['status', 'end']);
  });

  test('ends with what there is when asked with follow=0, and goes on from there', async () => {
    const id = await submit();
    expect((await get(id, sse, '?follow=0').then(events)).map(({ type }) => type)).toEqual(['status']);
    const end = Promise.withResolvers<void>();
    worker = startWorker(service, async ({ log, claim: { spec } }) => {
      // Other tests leave builds in the queue.
      if (spec.id !== id) return { status: 'passed' };
      await log.append('test', Buffer.from('one\n'));
      await end.promise;
      await log.append('test', Buffer.from('two\n'));
      return { status: 'passed' };
    });
    const soFar = async () => await get(id, sse, '?follow=0').then(events);
    await until(async () => logsOf(await soFar()).length > 0);
    const seen = await soFar();
    expect(bytesOf(seen).toString()).toBe('one\n');
    const { id: lastEventId = '' } = logsOf(seen).at(-1) ?? {};
    const from = { ...sse, 'last-event-id': lastEventId };
    expect(logsOf(await get(id, from, '?follow=0').then(events))).toEqual([]);
    end.resolve();
    expect(bytesOf(await get(id, from).then(events)).toString()).toBe('two\n');
    expect((await soFar()).at(-1)).toMatchObject({ type: 'end', record: { status: 'passed' } });
  });

  test('begins anew when the platform tries again', async () => {
    const id = await submit();
    const following = get(id, sse).then(events);
    worker = startWorker(service, async ({ log, claim: { fence } }) => {
      await log.append('test', Buffer.from(`try ${fence.attempt}`));
      await sleep(50);
      return fence.attempt === 1 ? 'broken' : { status: 'passed' };
    });
    const all = await following;
    expect(logsOf(all).map(({ attempt, offset, text }) => [attempt, offset, text])).toEqual([
      [1, 0, 'try 1'],
      [2, 0, 'try 2'],
    ]);
    expect(all.at(-1)).toMatchObject({ record: { status: 'passed', attempt: 2 } });
    // Who was away meanwhile does not take the second log for the first.
    const back = await get(id, { ...sse, 'last-event-id': '1:3' }).then(events);
    expect(bytesOf(back).toString()).toMatch(/^( 1)?try 2$/);
    expect(await (await get(id, { accept: 'text/plain' })).text()).toBe('try 2');
  });

  test('ends with what there is of the new try for who saw more of the one before', async () => {
    const id = await submit();
    const end = Promise.withResolvers<void>();
    worker = startWorker(service, async ({ log, claim: { spec, fence } }) => {
      if (spec.id !== id) return { status: 'passed' };
      await log.append('test', Buffer.from(fence.attempt === 1 ? 'much was said' : 'again'));
      if (fence.attempt === 1) return 'broken';
      await end.promise;
      return { status: 'passed' };
    });
    const plain = async () => await (await get(id, { accept: 'text/plain' })).text();
    await until(async () => (await plain()) === 'again');
    const back = await get(id, { ...sse, 'last-event-id': '1:13' }, '?follow=0').then(events);
    end.resolve();
    expect(bytesOf(back).toString()).toBe('again');
  });
});

test('a build ends for its followers also when changes are not told', async () => {
  const deaf = await startService(await redis.connect(), { heartbeatMs: 60_000 });
  const { promise: goOn, resolve } = Promise.withResolvers<void>();
  const runner = startWorker(deaf, async () => {
    await goOn;
    return { status: 'passed' };
  });
  try {
    const made = await deaf.app.inject({
      method: 'POST',
      url: '/v1/builds',
      headers: { authorization: deaf.bearer.submit },
      payload: { project: 'p', source: { kind: 'none' }, workflow },
    });
    const { id } = made.json<PublicBuild>();
    await until(async () => (await deaf.records.get(id))?.status === 'running');
    Object.assign(deaf.records, { subscribe: () => () => {} });
    const headers = { authorization: deaf.bearer.read, ...sse };
    const following = deaf.app.inject({ url: `/v1/builds/${id}/logs`, headers });
    await sleep(50);
    resolve();
    expect((await following).body).toContain('event: end\n');
  } finally {
    await runner.close();
    await deaf.stop();
  }
});

test('a log of which the rest is lost says so, and ends all the same', async () => {
  const logs: LogReader = {
    read: async function* () {
      yield { attempt: 1, offset: 0, step: 's', data: Buffer.from('begun') };
      throw new LogMissing('the log is gone from byte 5 on');
    },
  };
  const lossy = await startService(await redis.connect(), { logs });
  const runner = startWorker(lossy, (job) => passed(job, []));
  try {
    const made = await lossy.app.inject({
      method: 'POST',
      url: '/v1/builds',
      headers: { authorization: lossy.bearer.submit },
      payload: { project: 'p', source: { kind: 'none' }, workflow },
    });
    const url = `${String(made.headers['location'])}/logs`;
    const read = (accept: string) =>
      lossy.app.inject({ url, headers: { authorization: lossy.bearer.read, accept } });
    const { body } = await read('application/x-ndjson');
    const all = body
      .trimEnd()
      .split('\n')
      .map((line): LogEvent => JSON.parse(line));
    expect(all.filter(({ type }) => type !== 'status')).toEqual([
      expect.objectContaining({ type: 'log', text: 'begun' }),
      { type: 'gap', detail: 'the log is gone from byte 5 on' },
      expect.objectContaining({ type: 'end' }),
    ]);
  } finally {
    await runner.close();
    await lossy.stop();
  }
});

describe('application/x-ndjson', () => {
  test('has the same events, one a line', async () => {
    const id = await finished(['one\n', 'two\n']);
    const response = await get(id, { accept: 'application/x-ndjson' });
    const lines = (await response.text()).trimEnd().split('\n');
    const all: LogEvent[] = lines.map((line) => JSON.parse(line));
    expect(all.map(({ type }) => type)).toEqual(['status', 'log', 'end']);
    expect(bytesOf(all).toString()).toBe('one\ntwo\n');
  });
});

describe('text/plain', () => {
  const whole = Buffer.concat([randomBytes(700_000), Buffer.from('end\n')]);

  test('is the log, byte for byte, and ranges of it', async () => {
    const id = await finished([whole.subarray(0, 5), whole.subarray(5)]);
    const ask = async (headers: Record<string, string>, query = '') => {
      const response = await get(id, headers, query);
      const body = Buffer.from(await response.arrayBuffer());
      return { status: response.status, range: response.headers.get('content-range'), body };
    };
    const total = whole.length;
    expect(await ask({})).toEqual({ status: 200, range: null, body: whole });
    expect(await ask({}, '?follow=1')).toEqual({ status: 200, range: null, body: whole });
    expect(await ask({}, '?after=7')).toEqual({ status: 200, range: null, body: whole.subarray(7) });
    expect(await ask({}, `?after=${total + 5}`)).toEqual({ status: 200, range: null, body: Buffer.alloc(0) });
    expect(await ask({ range: 'bytes=3-6' })).toEqual({
      status: 206,
      range: `bytes 3-6/${total}`,
      body: whole.subarray(3, 7),
    });
    expect(await ask({ range: 'bytes=-4' })).toEqual({
      status: 206,
      range: `bytes ${total - 4}-${total - 1}/${total}`,
      body: Buffer.from('end\n'),
    });
    expect(await ask({ range: `bytes=${total}-` })).toMatchObject({ status: 416, range: `bytes */${total}` });
  });

  test('of a build that runs is what there is, or with follow=1 all that comes', async () => {
    const { promise: goOn, resolve } = Promise.withResolvers<void>();
    worker = startWorker(service, async ({ log }) => {
      await log.append('test', Buffer.from('first\n'));
      await goOn;
      await log.append('test', Buffer.from('second\n'));
      return { status: 'passed' };
    });
    const id = await submit();
    const following = get(id, {}, '?follow=1').then((response) => response.text());
    expect(await until(async () => (await (await get(id, {})).text()) || undefined)).toBe('first\n');
    const part = await get(id, { range: 'bytes=1-3' });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
      206,
      'bytes 1-3/*',
      'irs',
    ]);
    resolve();
    expect(await following).toBe('first\nsecond\n');
  });

  test.each([[{}], [{ range: 'bytes=0-1' }]])('is 410 when the storage has lost it: %j', async (headers) => {
    const id = await finished(['some bytes']);
    await lose(id);
    const response = await get(id, { accept: 'text/plain', ...headers });
    expect(response.status).toBe(410);
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining('is gone') });
    const told = await events(await get(id, sse));
    expect(logsOf(told)).toEqual([]);
    expect(told.filter(({ type }) => type === 'gap')).toHaveLength(1);
    expect(told.at(-1)).toMatchObject({ type: 'end', record: { status: 'passed' } });
  });

  test('of a build that wrote nothing is empty, also in storage', async () => {
    const id = await finished([]);
    const response = await get(id, { accept: 'text/plain' });
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(await events(await get(id, sse))).not.toContainEqual(expect.objectContaining({ type: 'gap' }));
  });

  test('of a build that waits is empty', async () => {
    const response = await get(await submit(), {});
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});

test.each([
  ['text/html', 406],
  ['text/*', 200],
  ['application/json;q=0.9, */*;q=0.1', 200],
])('Accept: %s is answered %i', async (accept, status) => {
  const id = await submit();
  await service.queue.cancel(id);
  const response = await get(id, { accept });
  expect(response.status).toBe(status);
  await response.text();
});

describe('followers', () => {
  test('a hundred get every byte once and in order, one that does not read holds up nobody', async () => {
    const whole = randomBytes(600_000);
    const chunks: Buffer[] = [];
    for (let at = 0; at < whole.length; at += 50_000) chunks.push(whole.subarray(at, at + 50_000));
    const id = await submit();
    const dead = new AbortController();
    const stuck = await get(id, sse, '', dead.signal);
    const digest = async () => {
      const hash = createHash('sha256');
      let next = 0;
      for await (const { type, data } of eventsOf(bodyOf(await get(id, sse)))) {
        const event: LogEvent = JSON.parse(data);
        if (type !== 'log') continue;
        if (event.offset !== next) throw new Error(`byte ${event.offset} came after ${next}`);
        const bytes = bytesOf([{ ...event, type }]);
        hash.update(bytes);
        next += bytes.length;
      }
      return hash.digest('hex');
    };
    const digests = Array.from({ length: 100 }, digest);
    await until(async () => (await metric('cofferdam_log_followers')) === 101);
    worker = startWorker(service, (job) => passed(job, chunks));
    expect(new Set(await Promise.all(digests))).toEqual(
      new Set([createHash('sha256').update(whole).digest('hex')]),
    );
    dead.abort();
    await stuck.body?.cancel().catch(() => {});
  });

  test('are let go when the server closes, within a second', async () => {
    const closing = await startService(await redis.connect());
    const url = await closing.listen();
    try {
      const headers = { authorization: closing.bearer.submit };
      const payload = { project: 'p', source: { kind: 'none' }, workflow };
      const made = await closing.app.inject({ method: 'POST', url: '/v1/builds', headers, payload });
      const follow = async () => {
        const response = await fetch(`${url}${String(made.headers['location'])}/logs`, {
          headers: { authorization: closing.bearer.read, ...sse },
        });
        return response.text();
      };
      const followers = Array.from({ length: 20 }, follow);
      await sleep(100);
      const began = performance.now();
      await closing.app.close();
      expect(performance.now() - began).toBeLessThan(1000);
      for (const text of await Promise.all(followers))
        expect(text).toMatch(/^retry: 2000\n\nevent: status\n/);
    } finally {
      await closing.stop();
    }
  });
});
