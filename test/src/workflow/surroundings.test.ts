import { describe, expect, test } from 'vitest';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { push, pushWith, workflowOf } from './planned.ts';
import { problemsOf } from './problems.ts';

const steps = [{ image: 'a', commands: 'x' }];
const planOf = (top: object) => workflowOf({ steps, ...top });
const warningsOf = (top: object) =>
  planBuild([{ file: 'w.yaml', text: JSON.stringify({ steps, ...top }) }], push).warnings.map(
    ({ message }) => message,
  );
const base = 'steps: [{ image: a, commands: x }]\n';

describe('services', () => {
  const serviceOf = (service: object) => planOf({ services: { db: { image: 'd', ...service } } }).services[0];

  test('are a list with names, or a map, without those that are not for this build', () => {
    const when = { event: 'tag' };
    const names = (services: object) => planOf({ services }).services.map(({ name }) => name);
    expect(
      names([
        { name: 'b', image: 'x' },
        { name: 'a', image: 'x', when },
      ]),
    ).toEqual(['b']);
    expect(names({ b: { image: 'x' }, a: { image: 'x' }, c: { name: 'd', image: 'x' } })).toEqual([
      'b',
      'a',
      'd',
    ]);
  });

  test('have what the file says, and nothing of the steps', () => {
    const environment = { A: 1, B: { from_secret: 's' } };
    expect(
      planOf({
        environment: { C: 1 },
        services: { db: { image: 'd', environment, failure: 'ignore', pull: true, directory: '/srv' } },
      }).services,
    ).toEqual([
      {
        name: 'db',
        image: 'd',
        run: { kind: 'image' },
        environment: { A: '1' },
        secrets: [{ kind: 'variable', variable: 'B', secret: 's' }],
        directory: '/srv',
        pull: 'always',
        ready: { kind: 'image', deadlineMs: 60_000 },
        onFailure: 'ignore',
      },
    ]);
  });

  test.each<[unknown, object]>([
    [undefined, { kind: 'image', deadlineMs: 60_000 }],
    ['none', { kind: 'none' }],
    [{ timeout: '2m' }, { kind: 'image', deadlineMs: 120_000 }],
    [
      { command: 'pg_isready -h localhost' },
      { kind: 'command', args: ['/bin/sh', '-c', 'pg_isready -h localhost'] },
    ],
    [
      { command: ['pg_isready', '-q'], timeout: '5s' },
      { kind: 'command', args: ['pg_isready', '-q'], deadlineMs: 5000 },
    ],
    [{ tcp: 5432 }, { kind: 'tcp', port: 5432 }],
    [{ http: 8080 }, { kind: 'http', port: 8080, path: '/' }],
    [{ http: ':8080/health?x=1' }, { kind: 'http', port: 8080, path: '/health?x=1' }],
    [{ http: 'http://localhost:80/a' }, { kind: 'http', port: 80, path: '/a' }],
    [{ log: 'ready' }, { kind: 'log', text: 'ready' }],
  ])('ready: %j', (ready, expected) => expect(serviceOf({ ready })?.ready).toMatchObject(expected));

  test('no value of the build is a command in one that asks whether it is ready', () => {
    const ready = { command: 'check "${CI_COMMIT_MESSAGE}"' };
    const { services } = workflowOf(
      { steps, services: { db: { image: 'd', ready } } },
      pushWith({ CI_COMMIT_MESSAGE: '$(id)' }),
    );
    expect(services).toMatchObject([
      {
        ready: { args: ['/bin/sh', '-c', 'check "${CI_COMMIT_MESSAGE}"'] },
        environment: { CI_COMMIT_MESSAGE: '$(id)' },
      },
    ]);
  });

  test.each([
    [
      '[{ image: d }]',
      '2:12: services[0] has no name; add `name:`; it is the host name by which steps reach it',
    ],
    [
      '[{ name: d, image: d }, { name: d, image: d }]',
      "2:43: another service is called 'd'; choose another name",
    ],
    ['{ d: {} }', "2:16: services.d has no 'image'"],
    ['{ "a b": { image: d } }', "2:13: 'a b' must be a host name"],
    [
      '{ d: { image: d, ready: { tcp: 1, log: x } } }',
      '2:45: a service is ready in one way; keep one of command, tcp, http and log',
    ],
    [
      '{ d: { image: d, ready: { tcp: 70000 } } }',
      '2:42: services.d.ready.tcp must be at most 65535, not 70000',
    ],
    [
      '{ d: { image: d, ready: { http: 70000 } } }',
      '2:43: services.d.ready.http must be at most 65535, not 70000',
    ],
    ['{ d: { image: d, ready: { http: ":70000" } } }', '2:43: a port is 1 to 65535, not 70000'],
    ['{ d: { image: d, ready: { timeout: 0s } } }', '2:46: timeout must be 1s to 168h, not 0s'],
    ['{ d: { image: d, ready: soon } }', "2:35: services.d.ready must be none, not 'soon'"],
    ['{ d: { image: d, failure: cancel } }', "2:37: services.d.failure must be fail or ignore, not 'cancel'"],
  ])('%s is refused', (services, problem) =>
    expect(problemsOf(`${base}services: ${services}\n`)).toEqual([problem]),
  );
});

describe('the network is', () => {
  test.each([
    ['none', { kind: 'none' }],
    ['egress', { kind: 'egress' }],
    [{ allow: ['a.example', '*.b.example'] }, { kind: 'allow', hosts: ['a.example', '*.b.example'] }],
  ])('%j', (network, expected) => expect(planOf({ network }).network).toEqual(expected));

  test.each([
    'all',
    '{ allow: [] }',
    '{ allow: ["a b"] }',
    '{ allow: ["*"] }',
    '{ allow: ["a.*.b"] }',
    '{ allow: ["-a"] }',
    '{ allow: ["http://a"] }',
    `{ allow: [${'a,'.repeat(101)}] }`,
  ])('not %s', (network) => expect(problemsOf(`${base}network: ${network}\n`)).toHaveLength(1));
});

describe('caches', () => {
  test('are directories with a name, and files that decide whether they are still the same', () => {
    const caches = [
      { name: 'npm', path: '/root/.npm/', key: 'package-lock.json' },
      { name: 'go', path: './.cache/go', key: ['./go.sum', '**/go.mod'] },
      { name: 'all', path: 'x' },
    ];
    expect(planOf({ caches }).caches).toEqual([
      { name: 'npm', path: '/root/.npm', key: ['package-lock.json'] },
      { name: 'go', path: '.cache/go', key: ['go.sum', '**/go.mod'] },
      { name: 'all', path: 'x', key: [] },
    ]);
  });

  test.each([
    ['{ name: a, path: ../x }', "'../x' has .. in it; write the path from"],
    ['{ name: a, path: /a/../etc }', "'/a/../etc' has .. in it; write the path from"],
    ['{ name: a, path: / }', "'/' holds the workspace itself; name a directory in it"],
    ['{ name: a, path: . }', "'.' holds the workspace itself; name a directory in it"],
    ['{ name: a, path: /workspace/ }', "'/workspace/' holds the workspace itself; name a directory in it"],
    ['{ name: a, path: /proc/x }', "'/proc/x' is not a place for files; name one such as"],
    ['{ name: a, path: /etc }', "'/etc' is not a place for files; name one such as"],
    [
      '{ name: a, path: x }, { name: b, path: x/y/ }',
      "'x/y/' and the cache a lie in each other; make one cache of both",
    ],
    [
      '{ name: a, path: /root/.cache/pip }, { name: b, path: /root/.cache }',
      "'/root/.cache' and the cache a lie in each other; make one cache of both",
    ],
    [
      '{ name: .., path: x }',
      "caches[0].name must be a name of letters, digits, _, . and - such as npm, not '..'",
    ],
    [
      '{ name: a/b, path: x }',
      "caches[0].name must be a name of letters, digits, _, . and - such as npm, not 'a/b'",
    ],
    [
      '{ name: a, path: x, key: [../secret] }',
      "'../secret' leaves the workspace; patterns cannot contain ..",
    ],
    [
      '{ name: a, path: x, key: /etc/passwd }',
      "'/etc/passwd' is absolute; patterns are relative to the workspace",
    ],
    ['{ name: a, path: x }, { name: a, path: y }', 'another cache has this name; give each its own'],
    [
      '{ name: a, path: x }, { name: b, path: /workspace/x/ }',
      'another cache has this path; give each its own',
    ],
  ])('%s is refused', (caches, problem) => {
    expect(problemsOf(`${base}caches: [${caches}]\n`)).toEqual([expect.stringContaining(`: ${problem}`)]);
  });
});

describe('the workspace is', () => {
  test.each<[object, string]>([
    [{}, '/workspace'],
    [{ base: '/go', path: 'src/example.org/app' }, '/go/src/example.org/app'],
    [{ base: '/go/' }, '/go'],
    [{ path: './a//b/' }, '/workspace/a/b'],
  ])('of %j %s', (workspace, path) => expect(planOf({ workspace }).workspace).toBe(path));

  test('nowhere that is not for files', () => {
    for (const workspace of [
      { base: '/' },
      { base: '/proc' },
      { base: '/a', path: '..' },
      { base: 'go' },
      { path: '/a' },
    ]) {
      expect(problemsOf(JSON.stringify({ steps, workspace }))).toHaveLength(1);
    }
  });

  test('empty when the source is not asked for', () => {
    expect(planOf({}).checkout).toBe('source');
    expect(planOf({ skip_clone: true }).checkout).toBe('none');
  });
});

describe("Woodpecker's clone step", () => {
  test('is taken for the checkout, and what differs is said', () => {
    const image = 'woodpeckerci/plugin-git:2';
    expect(warningsOf({ clone: { git: { image, settings: { tags: true, lfs: false } } } })).toEqual([]);
    expect(
      warningsOf({
        clone: [{ name: 'git', image: `quay.io/${image}`, settings: { depth: 5, partial: false } }],
      }),
    ).toEqual([
      'depth has no effect: the whole history is there, whatever it says',
      'partial has no effect: all files and the whole history are there, whatever it says',
    ]);
    expect(warningsOf({ clone: { git: { recursive: true, constructor: 1 } } })).toEqual([
      expect.stringMatching(/^recursive has no effect: submodules are checked out when/),
      'constructor has no effect: it is not known here',
    ]);
  });

  test('is refused with an image of its own, and a second time', () => {
    const of = (clone: object) => problemsOf(JSON.stringify({ steps, clone })).join();
    expect(of({ git: { image: 'octocat/custom-git-plugin' } })).toContain(
      'a clone image of its own is refused',
    );
    expect(of([{ name: 'a' }, { name: 'b' }])).toContain('a second clone step is refused');
  });
});

describe('other keys', () => {
  test.each<[object, object]>([
    [{ concurrency: 1 }, { concurrency: { limit: 1, group: 'workflow ci' } }],
    [
      { concurrency: { limit: 2, group: 'deploy-${CI_COMMIT_BRANCH}' } },
      { concurrency: { limit: 2, group: 'group deploy-main' } },
    ],
    [{ concurrency: { limit: 2, group: '${CI_NONE}' } }, { concurrency: { limit: 2, group: 'workflow ci' } }],
    [{ retry: { max: 0 } }, { retry: { max: 0 } }],
    [{ retry: { max: 3, when: ['infrastructure'] } }, { retry: { max: 3 } }],
    [{ parallel: 4 }, { parallel: 4 }],
    [
      { labels: { platform: 'linux/arm64', gpu: true, cores: 16, none: '' } },
      { labels: { platform: 'linux/arm64', gpu: 'true', cores: '16' } },
    ],
    [{ variables: [{ anything: [1] }], anchors: { x: 1 } }, { name: 'ci' }],
  ])('%j', (top, plan) => expect(planOf(top)).toMatchObject(plan));

  test.each([
    ['concurrency: 0', '2:14: concurrency must be at least 1, not 0'],
    ['concurrency: { group: x }', "2:14: concurrency has no 'limit'"],
    ['retry: { max: 4 }', '2:15: retry.max must be at most 3, not 4'],
    ['retry: { when: [failure] }', "2:17: retry.when[0] must be infrastructure, not 'failure'"],
    ['parallel: 0', '2:11: parallel must be at least 1, not 0'],
    ['labels: { a: "b c" }', "2:14: labels.a must be a label such as linux/arm64, not 'b c'"],
  ])('%s is refused', (line, problem) => expect(problemsOf(`${base}${line}\n`)).toEqual([problem]));

  test("labels of Woodpecker's own have no effect", () => {
    expect(planOf({ labels: { 'woodpecker-ci.org/x': 'y' } }).labels).toEqual({});
    expect(warningsOf({ labels: { 'woodpecker-ci.org/x': 'y' } })).toEqual([
      "woodpecker-ci.org/x has no effect: it is Woodpecker's own",
    ]);
  });
});
