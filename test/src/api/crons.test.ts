import { afterAll, beforeEach, beforeAll, describe, expect, test } from 'vitest';
import type { ShownCron } from '../../../src/api/cron-job.ts';
import { newRepository } from '../../../src/repositories/change.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
});
beforeEach(async () => {
  for (const { name } of await service.repositories.list()) await service.repositories.remove(name);
  for (const name of ['Acme/app', 'acme/lib']) {
    const repository = newRepository({ name, forge: 'github', url: `https://github.com/${name}.git` });
    await service.repositories.add(repository, { webhookSecrets: ['a secret of a webhook'] });
  }
});
afterAll(() => service.stop());

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
const ask = (method: Method, url: string, payload?: object, as: 'read' | 'submit' | 'admin' = 'admin') =>
  service.app.inject({
    method,
    url,
    headers: { authorization: service.bearer[as] },
    ...(payload && { payload }),
  });

const nightly = { schedule: '0 3 * * 1-5', timezone: 'Europe/Berlin', branch: 'main' };

describe('a cron job', () => {
  test.for(['acme/app', 'acme%2Fapp', 'ACME/App'])('of %s is made, shown, run and removed', async (path) => {
    const made = await ask('PUT', `/v1/crons/${path}/nightly`, nightly);
    expect([made.statusCode, made.json()]).toEqual([
      200,
      {
        repository: 'Acme/app',
        name: 'nightly',
        ...nightly,
        next: [expect.anything(), expect.anything(), expect.anything()],
      },
    ]);
    expect((await ask('GET', `/v1/crons?repository=${path}`)).json()).toEqual({ crons: [made.json()] });
    expect((await ask('GET', `/v1/repos/${path}`)).json()).toMatchObject({
      crons: [{ name: 'nightly', ...nightly }],
    });
    const run = await ask('POST', `/v1/crons/${path}/nightly/run`, undefined, 'submit');
    expect([run.statusCode, run.json()]).toEqual([
      202,
      expect.objectContaining({
        project: 'Acme/app',
        trigger: { kind: 'cron', name: 'nightly', branch: 'main', actor: 'submit' },
      }),
    ]);
    expect(run.headers['location']).toBe(`/v1/builds/${run.json<{ id: string }>().id}`);
    expect((await ask('DELETE', `/v1/crons/${path}/nightly`)).statusCode).toBe(204);
    expect((await ask('GET', '/v1/crons')).json()).toEqual({ crons: [] });
  });

  test('tells its next runs in order, all at that time there', async () => {
    const made = await ask('PUT', '/v1/crons/acme/app/nightly', nightly);
    const { next } = made.json<ShownCron>();
    expect(next.toSorted()).toEqual(next);
    const clock = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', timeStyle: 'short' });
    expect(next.map((run) => clock.format(new Date(run)))).toEqual(['03:00', '03:00', '03:00']);
  });

  test('is replaced by one of its name, and goes with its repository', async () => {
    await ask('PUT', '/v1/crons/acme/lib/nightly', nightly);
    await ask('PUT', '/v1/crons/acme/app/nightly', nightly);
    await ask('PUT', '/v1/crons/acme/app/nightly', { schedule: '5 4 * * *' });
    const all = async () => (await ask('GET', '/v1/crons')).json<{ crons: ShownCron[] }>().crons;
    expect(
      (await all()).map(({ repository, schedule, timezone, branch }) => [
        repository,
        schedule,
        timezone,
        branch,
      ]),
    ).toEqual([
      ['Acme/app', '5 4 * * *', 'UTC', undefined],
      ['acme/lib', '0 3 * * 1-5', 'Europe/Berlin', 'main'],
    ]);
    await ask('DELETE', '/v1/repos/acme/app');
    expect((await all()).map(({ repository }) => repository)).toEqual(['acme/lib']);
  });

  test('stays when its repository is changed', async () => {
    await ask('PUT', '/v1/crons/acme/app/nightly', nightly);
    const changed = await service.app.inject({
      method: 'PATCH',
      url: '/v1/repos/acme/app',
      headers: { authorization: service.bearer.admin },
      payload: { badge: 'public' },
    });
    expect(changed.json()).toMatchObject({ badge: 'public', crons: [{ name: 'nightly' }] });
  });

  test('is shown to readers, run by submitters, changed by admins', async () => {
    await ask('PUT', '/v1/crons/acme/app/nightly', nightly);
    expect((await ask('GET', '/v1/crons', undefined, 'read')).statusCode).toBe(200);
    for (const path of ['acme/app', 'acme%2Fapp']) {
      for (const as of ['read', 'submit'] as const) {
        expect((await ask('PUT', `/v1/crons/${path}/nightly`, nightly, as)).statusCode).toBe(403);
        expect((await ask('DELETE', `/v1/crons/${path}/nightly`, undefined, as)).statusCode).toBe(403);
      }
      expect((await ask('POST', `/v1/crons/${path}/nightly/run`, undefined, 'read')).statusCode).toBe(403);
    }
  });

  test.for([
    ['a schedule of six fields', 'nightly', { schedule: '0 0 3 * * *' }, { pointer: '#/schedule' }],
    ['no schedule', 'nightly', {}, { pointer: '#/schedule' }],
    [
      'a time zone that is none',
      'nightly',
      { schedule: '0 3 * * *', timezone: 'Mars/Olympus' },
      { pointer: '#/timezone' },
    ],
    [
      'a branch that git would not take',
      'nightly',
      { schedule: '0 3 * * *', branch: '--output=x' },
      { pointer: '#/branch' },
    ],
    ['a name with a colon', 'night:ly', { schedule: '0 3 * * *' }, { parameter: 'name' }],
    ['what is not known', 'nightly', { schedule: '0 3 * * *', every: '1d' }, { pointer: '#/every' }],
  ] as const)('with %s is refused, and where it says so', async ([, name, body, place]) => {
    const refused = await ask('PUT', `/v1/crons/acme/app/${name}`, body);
    expect([refused.statusCode, refused.json()]).toEqual([
      400,
      expect.objectContaining({ errors: [expect.objectContaining(place)] }),
    ]);
    expect((await ask('GET', '/v1/crons')).json()).toEqual({ crons: [] });
  });

  test.for([
    ['PUT', '/v1/crons/acme/none/nightly', nightly],
    ['GET', '/v1/crons?repository=acme/none', undefined],
    ['DELETE', '/v1/crons/acme/app/none', undefined],
    ['POST', '/v1/crons/acme/app/none/run', undefined],
    ['POST', '/v1/crons/acme/none/nightly/run', undefined],
    ['POST', '/v1/crons/acme/app/nightly', undefined],
    ['DELETE', '/v1/crons/nightly', undefined],
  ] as const)('is not found: %s %s', async ([method, url, body]) => {
    expect((await ask(method, url, body)).statusCode).toBe(404);
  });
});
