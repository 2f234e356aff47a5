import { describe, expect, test } from 'vitest';
import type { PlanStep } from '../../../src/workflow/plan.ts';
import { workflowOf } from './planned.ts';
import { problemsOf } from './problems.ts';

/** The steps of a workflow with the image `a`. */
const stepsOf = (...steps: object[]): readonly PlanStep[] =>
  workflowOf({ image: 'a', environment: { TOKEN: 'none', A: 1 }, steps }).steps;

describe('a step names its secrets', () => {
  test('as variables, which take the place of others of that name', () => {
    const environment = { TOKEN: { from_secret: 'deploy_token' }, B: 2 };
    expect(stepsOf({ commands: 'x', environment })).toMatchObject([
      {
        environment: { A: '1', B: '2' },
        secrets: [{ kind: 'variable', variable: 'TOKEN', secret: 'deploy_token' }],
      },
    ]);
    expect(stepsOf({ commands: 'x', environment })[0]?.environment).not.toHaveProperty('TOKEN');
  });

  test('as files in /run/secrets, by their own name or another', () => {
    const secrets = [{ from_secret: 'deploy-key' }, { from_secret: 'npmrc', path: '/run/secrets/.npmrc' }];
    expect(stepsOf({ commands: 'x', secrets })[0]?.secrets).toEqual([
      { kind: 'file', file: 'deploy-key', secret: 'deploy-key' },
      { kind: 'file', file: '.npmrc', secret: 'npmrc' },
    ]);
  });

  test('and has a container of its own, as another step could read what the shared one holds', () => {
    const commands = 'x';
    const environment = { TOKEN: { from_secret: 't' } };
    const secrets = [{ from_secret: 't' }];
    expect(
      stepsOf(
        { commands },
        { commands, environment },
        { commands, secrets },
        { commands, environment, image: 'b' },
      ).map(({ container }) => container),
    ).toEqual([
      { kind: 'shared' },
      { kind: 'own', image: 'a' },
      { kind: 'own', image: 'a' },
      { kind: 'own', image: 'b' },
    ]);
  });
});

describe('what is wrong is told with its place and a remedy', () => {
  const step = 'image: a\nsteps:\n  - commands: x\n';
  test.each([
    [
      'a secret for all steps',
      `${step}environment:\n  TOKEN: { from_secret: a }\n`,
      '5:10: environment.TOKEN is a secret for all steps; ' +
        'a secret goes to the steps that name it: move it to their `environment:`',
    ],
    [
      'a list of names',
      `${step}    secrets: [deploy_token]\n`,
      "4:15: steps[0].secrets[0] must be a secret file, not 'deploy_token'; " +
        "write 'environment: { DEPLOY_TOKEN: { from_secret: deploy_token } }' for a variable, " +
        "or '- from_secret: deploy_token' for a file",
    ],
    [
      'another key than from_secret',
      `${step}    environment: { A: { fromsecret: a } }\n`,
      "4:25: unknown key 'fromsecret'; did you mean 'from_secret'?",
    ],
    [
      'no name',
      `${step}    environment: { A: { from_secret: "" } }\n`,
      '4:38: steps[0].environment.A.from_secret must be a name of a secret such as deploy_token',
    ],
    [
      'a name that none can have',
      `${step}    secrets: [{ from_secret: a/b }]\n`,
      "4:30: steps[0].secrets[0].from_secret must be a name of a secret such as deploy_token, not 'a/b'",
    ],
    [
      'a path outside',
      `${step}    secrets: [{ from_secret: a, path: /root/.npmrc }]\n`,
      '4:39: steps[0].secrets[0].path must be a path of a file in /run/secrets such as ' +
        "/run/secrets/id_ed25519, not '/root/.npmrc'",
    ],
    [
      'a path that leads out',
      `${step}    secrets: [{ from_secret: a, path: /run/secrets/.. }]\n`,
      '4:39: steps[0].secrets[0].path must be a path of a file in /run/secrets such as ' +
        "/run/secrets/id_ed25519, not '/run/secrets/..'",
    ],
    [
      'one path twice',
      `${step}    secrets: [{ from_secret: a }, { from_secret: b, path: /run/secrets/a }]\n`,
      '4:35: another secret of this step is /run/secrets/a; give each a `path:` of its own',
    ],
    ['none', `${step}    secrets: []\n`, '4:14: steps[0].secrets is empty'],
  ])('%s', (_, text, problem) => expect(problemsOf(text)).toEqual([problem]));
});
