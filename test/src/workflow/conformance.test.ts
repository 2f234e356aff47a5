import { describe, expect, test } from 'vitest';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { WorkflowError } from '../../../src/workflow/problem.ts';
import { push } from './planned.ts';

/**
 * What the documentation of Woodpecker 3 says of its workflow files, section by section, and what we make of it: taken,
 * taken with a warning, or refused with a reason. Source: https://woodpecker-ci.org/docs/usage/workflow-syntax and the
 * pages beside it.
 */
type Verdict = 'taken' | { readonly warns: RegExp } | { readonly refused: RegExp };

function verdictOn(text: string): string {
  try {
    const { warnings } = planBuild([{ file: 'w.yaml', text }], push);
    return warnings.length === 0 ? 'taken' : `warns: ${warnings.map(({ message }) => message).join('\n')}`;
  } catch (error) {
    if (error instanceof WorkflowError) return `refused: ${error.message}`;
    throw error;
  }
}

const matching = (verdict: Verdict): unknown => {
  if (verdict === 'taken') return verdict;
  const [kind, pattern] = 'warns' in verdict ? ['warns', verdict.warns] : ['refused', verdict.refused];
  return expect.stringMatching(new RegExp(`^${kind}: [^]*${pattern.source}`));
};

const refusedKey: Verdict = { refused: /is refused: / };

describe('a step may have', () => {
  test.each<[string, Verdict]>([
    ['image: golang:1.24', 'taken'],
    ['image: index.docker.io/library/golang@sha256:0123', 'taken'],
    ['image: golang\n    pull: true\n    commands: go test', 'taken'],
    ['image: golang\n    commands: [go build, go test]', 'taken'],
    ['image: golang\n    commands: go test ./...', 'taken'],
    [
      'image: golang\n    entrypoint: [/bin/sh, -c, echo $CI_SCRIPT | base64 -d | /bin/sh -e]\n    commands: x',
      'taken',
    ],
    ['image: golang\n    entrypoint: serve', 'taken'],
    ['image: golang\n    commands: x\n    environment: { CGO: 0, GOOS: linux, ON: true }', 'taken'],
    ['image: golang\n    commands: x\n    environment: { LIST: [1, 2], MAP: { a: b } }', 'taken'],
    ['image: golang\n    commands: x\n    environment: { TOKEN: { from_secret: secret_token } }', 'taken'],
    [
      'image: p\n    settings: { TOKEN: { from_secret: secret_token }, tags: [a, b], map: { a: [1] } }',
      'taken',
    ],
    ['image: p', 'taken'],
    ['image: p\n    detach: true', 'taken'],
    ['image: p\n    directory: sub', 'taken'],
    ['image: p\n    failure: ignore', 'taken'],
    ['image: p\n    failure: cancel', 'taken'],
    ['image: p\n    failure: fail', 'taken'],
    ['image: p\n    depends_on: []', 'taken'],
    ['image: p\n    depends_on: { name: x }', { refused: /depends_on must be a name or list of names/ }],
    ['image: p\n    depends_on: [{ name: x, optional: true }]', 'taken'],
    ['image: p\n    depends_on: [x]', { refused: /no step is called 'x'/ }],
    ['image: p\n    failure: maybe', { refused: /must be fail, ignore or cancel/ }],
    [
      'image: p\n    settings: { a: 1 }\n    commands: x',
      { refused: /settings and commands do not go together/ },
    ],
    [
      'image: p\n    settings: { a: 1 }\n    entrypoint: x',
      { refused: /settings and entrypoint do not go together/ },
    ],
    [
      'image: p\n    settings: { a: 1 }\n    environment: { B: 1 }',
      { warns: /settings and environment do not go together/ },
    ],
    ['commands: go build', { refused: /has no image/ }],
    ['image: p\n    privileged: true', { refused: /'privileged' is refused/ }],
    ['image: p\n    privileged: false', 'taken'],
    ['image: p\n    volumes: [/a:/b]', refusedKey],
    ['image: p\n    devices: [/dev/kvm]', refusedKey],
    ['image: p\n    tmpfs: [/tmp]', refusedKey],
    ['image: p\n    dns: 1.2.3.4', refusedKey],
    ['image: p\n    dns_search: a.example', refusedKey],
    ['image: p\n    extra_hosts: [a:1.2.3.4]', refusedKey],
    ['image: p\n    network_mode: host', refusedKey],
    ['image: p\n    backend_options: { docker: { user: 1000 } }', refusedKey],
    ['image: p\n    unknown: 1', { refused: /unknown key 'unknown'/ }],
  ])('%s', (step, verdict) => expect(verdictOn(`steps:\n  - ${step}\n`)).toEqual(matching(verdict)));
});

describe('when may be', () => {
  test.each<[string, Verdict]>([
    ['{ repo: test/test }', 'taken'],
    ['[{ event: pull_request, repo: test/test }, { event: push, branch: main }]', 'taken'],
    ['{ branch: [main, develop] }', 'taken'],
    ["{ branch: { include: [main, 'release/*'], exclude: ['release/1.1.*'] } }", 'taken'],
    ['{ branch: { include: main, exclude: [develop] } }', 'taken'],
    [
      '{ event: [push, pull_request, pull_request_closed, pull_request_metadata, tag, release, deployment, cron, manual] }',
      'taken',
    ],
    ['{ event: tag, ref: refs/tags/v* }', 'taken'],
    ["{ event: cron, cron: 'sync_*' }", 'taken'],
    ['{ status: [success, failure] }', 'taken'],
    ['{ status: failure }', 'taken'],
    ['{ platform: [linux/*, windows/amd64] }', 'taken'],
    ['{ matrix: { GO_VERSION: 1.5, REDIS_VERSION: 2.8 } }', 'taken'],
    ['{ instance: stage.woodpecker.company.com }', 'taken'],
    ["{ path: 'src/*' }", 'taken'],
    [
      "{ path: { include: ['*.ini'], exclude: ['*.md', 'docs/**'], ignore_message: '[ALL]', on_empty: true } }",
      'taken',
    ],
    [
      `{ evaluate: 'CI_PIPELINE_EVENT == "push" && CI_REPO == "owner/repo" && CI_COMMIT_BRANCH == CI_REPO_DEFAULT_BRANCH' }`,
      'taken',
    ],
    [`{ evaluate: 'not (CI_COMMIT_MESSAGE contains "please ignore me")' }`, 'taken'],
    [`{ evaluate: 'CI_COMMIT_PULL_REQUEST_LABELS contains "deploy"' }`, 'taken'],
    [`{ evaluate: 'SKIP != "true"' }`, 'taken'],
    ['{ event: pushed }', { refused: /must be push, pull_request, .* or manual/ }],
    ['{ event: { exclude: push } }', { refused: /'exclude' of events is refused/ }],
    ['{ status: [skipped] }', { refused: /must be success or failure/ }],
    ['{ environment: production }', refusedKey],
    ["{ evaluate: 'a ==' }", { refused: /cannot be judged/ }],
    ["{ branch: 'a[' }", { refused: /has a \[ without \]/ }],
    ['[]', { refused: /is empty/ }],
    ['push', { refused: /must be a condition/ }],
  ])('%s', (when, verdict) => {
    const found = verdictOn(`steps:\n  - image: a\n    when: ${when}\n`);
    expect(found).toEqual(matching(verdict));
  });
});

describe('a workflow may have', () => {
  test.each<[string, Verdict]>([
    ['skip_clone: true', 'taken'],
    ['clone: { git: { image: woodpeckerci/plugin-git } }', 'taken'],
    [
      'clone: [{ name: git, image: woodpeckerci/plugin-git, settings: { partial: false, depth: 50 } }]',
      { warns: /depth has no effect/ },
    ],
    [
      'clone: [{ name: git, image: octocat/custom-git-plugin }]',
      { refused: /clone image of its own is refused/ },
    ],
    ['when: { branch: main }', 'taken'],
    ['when: [{ status: [success, failure] }]', 'taken'],
    ['when: { matrix: { A: 1 } }', { refused: /unknown key 'matrix'/ }],
    ['runs_on: [success, failure]', { warns: /old name/ }],
    ['depends_on: [other]', { refused: /no workflow is called 'other'/ }],
    ['depends_on: [{ name: other, optional: true }]', 'taken'],
    ['concurrency: 1', 'taken'],
    ['concurrency: { limit: 1, group: "deploy-${CI_COMMIT_BRANCH}" }', 'taken'],
    ['concurrency: { group: production }', { refused: /has no 'limit'/ }],
    [
      'labels: { location: europe, weather: sun, hostname: "", platform: linux/arm64, cores: 4, gpu: true }',
      'taken',
    ],
    ['workspace: { base: /go }', 'taken'],
    ['workspace: { base: /go, path: src/github.com/octocat/hello-world }', { warns: /only .* is shared/ }],
    ['matrix: { GO_VERSION: [1.4, 1.3], REDIS_VERSION: [2.6, 2.8, 3.0] }', 'taken'],
    ['matrix: { include: [{ GO_VERSION: 1.4, REDIS_VERSION: 2.8 }, { GO_VERSION: 1.5 }] }', 'taken'],
    ['variables: [&x golang]', 'taken'],
    ['services: [{ name: database, image: mysql }, { name: cache, image: redis }]', 'taken'],
    [
      'services: { database: { image: mysql, environment: { MYSQL_ALLOW_EMPTY_PASSWORD: yes }, failure: ignore } }',
      'taken',
    ],
    [
      'services: { database: { image: mysql, entrypoint: [entrypoint.sh], directory: /tmp/, commands: serve } }',
      'taken',
    ],
    [
      'services: { database: { image: mysql, ports: [3306, "51820/udp"] } }',
      { warns: /ports have no effect/ },
    ],
    ['services: [{ image: mysql }]', { refused: /has no name/ }],
    [
      'services: [{ name: a, image: b }, { name: a, image: c }]',
      { refused: /another service is called 'a'/ },
    ],
    [
      'services: { docker: { image: "docker:dind", privileged: true } }',
      { refused: /'privileged' is refused/ },
    ],
    ['platform: linux/arm64', refusedKey],
    ['branches: main', refusedKey],
    ['matri: { A: [1] }', { refused: /unknown key 'matri'; did you mean 'matrix'/ }],
  ])('%s', (line, verdict) =>
    expect(verdictOn(`steps: [{ image: a }]\n${line}\n`)).toEqual(matching(verdict)),
  );
});

test('anchors, merged maps and merged lists work as documented', () => {
  const text = `
variables:
  - &image golang:1.24
  - &settings { target: dist, recursive: false, try: true }
  - &special { special: true }
  - &pre [echo start, whoami]
`;
  const { build } = planned(`${text}
steps:
  - name: develop
    image: *image
    settings:
      <<: [*settings, *special]
  - name: main
    image: *image
    settings:
      <<: *settings
      try: false
  - name: list
    image: *image
    commands:
      - <<: *pre
      - echo mine
      - <<: [*pre, *pre]
`);
  expect(build.workflows[0].steps).toMatchObject([
    {
      environment: {
        PLUGIN_TARGET: 'dist',
        PLUGIN_RECURSIVE: 'false',
        PLUGIN_TRY: 'true',
        PLUGIN_SPECIAL: 'true',
      },
    },
    { environment: { PLUGIN_TARGET: 'dist', PLUGIN_TRY: 'false' } },
    {
      run: {
        commands: ['echo start', 'whoami', 'echo mine', 'echo start', 'whoami', 'echo start', 'whoami'],
      },
    },
  ]);
});

function planned(text: string) {
  const result = planBuild([{ file: 'w.yaml', text }], push);
  if (result.kind === 'nothing') throw new Error('nothing to run');
  return result;
}
