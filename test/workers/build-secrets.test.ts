import { describe, expect, test } from 'vitest';
import { ImageError } from '../../runtime/images/image.ts';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import { play, type Scene, step } from './rehearsal.ts';

describe('a step has the environment', () => {
  const environmentOf = async (scene: Scene): Promise<Record<string, string>> => {
    const { events } = await play(scene);
    const shown = events.find((event) => event.startsWith('log a {')) ?? 'log a {}';
    return JSON.parse(shown.slice('log a '.length));
  };

  test('of its its own, and of CI; later ones win, and nothing of ours is there', async () => {
    const own = { FROM_IMAGE: 'no', CI_WORKSPACE: 'elsewhere', CI_VERBOSE: '1', HOME: '/home' };
    const environment = await environmentOf({ steps: [step('a', 'env', { environment: own })] });
    expect(environment).toMatchObject({
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/home',
      FROM_IMAGE: 'no',
      CI: 'true',
      CI_WORKSPACE: '/workspace',
      CI_VERBOSE: '1',
      CI_COMMIT_BRANCH: 'main',
    });
    const others = ['PATH', 'HOME', 'FROM_IMAGE', 'CI', 'COFFERDAM_BUILD_ID'];
    expect(
      Object.keys(environment).filter((name) => !name.startsWith('CI_') && !others.includes(name)),
    ).toEqual([]);
  });

  test('with the secrets that it names, and no others', async () => {
    const secrets = [{ kind: 'variable', variable: 'TOKEN', secret: 'deploy' } as const];
    const request = {
      secrets: new Map([
        ['deploy', 'first-value'],
        ['other', 'second-value'],
      ]),
    };
    const environment = await environmentOf({
      request,
      steps: [
        step('a', 'env', { secrets: [{ kind: 'variable', variable: 'OTHER', secret: 'other' }] }),
        step('b', 'env', { secrets }),
      ],
    });
    expect(environment['OTHER']).toBe('********');
    expect(environment).not.toHaveProperty('TOKEN');
  });
});

describe('the secrets of a build', () => {
  const request = { secrets: new Map([['key', 'line one\nline two\n']]) };
  const secrets = [{ kind: 'file', file: 'id', secret: 'key' } as const];

  test('reach the step that names them as files', async () => {
    const seen: unknown[] = [];
    const driver = fakeDriver(({ secrets: files }) => {
      seen.push(files);
      return {};
    });
    await play({ request, tools: { driver }, steps: [step('a'), step('b', 'exit 0', { secrets })] });
    expect(seen).toEqual([{}, { id: 'line one\nline two\n' }]);
  });

  test('are masked in the output of all steps, also of those that do not name them', async () => {
    const { events } = await play({
      request,
      steps: [step('a', 'secrets', { secrets }), step('b', 'print two')],
    });
    const driver = fakeDriver(() => ({ output: ['a line o', 'ne b ', 'line'] }));
    const split = await play({ request, tools: { driver }, steps: [step('a')] });
    expect(events).toContain('log a {"id":"********"}');
    expect(split.events.filter((event) => event.startsWith('log'))).toEqual([
      'log a a ',
      'log a ******** b ',
      'log a line',
    ]);
  });

  test('are masked in messages', async () => {
    const resolveImage = () => Promise.reject(new ImageError('cannot pull line one'));
    const { record } = await play({ request, steps: [step('a')], tools: { resolveImage } });
    expect(record.message).toBe('cannot pull ********');
  });
});
