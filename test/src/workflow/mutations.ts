/** Every copy of `value` in which one part is replaced by `other`. */
export function* replaced(value: unknown, other: unknown): Generator {
  yield other;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      for (const each of replaced(item, other)) yield value.with(index, each);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      for (const each of replaced(item, other)) yield { ...value, [key]: each };
    }
  }
}

/** Every copy of `value` with one map that has one key more. */
export function* extended(value: unknown, key: string, other: unknown): Generator {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      for (const each of extended(item, key, other)) yield value.with(index, each);
    }
  } else if (typeof value === 'object' && value !== null) {
    yield { ...value, [key]: other };
    for (const [own, item] of Object.entries(value)) {
      for (const each of extended(item, key, other)) yield { ...value, [own]: each };
    }
  }
}

/** A file that uses every key of the language at least once. */
export const everything = {
  image: 'bootstrap:bookworm+make',
  when: [
    { event: 'push', branch: { include: ['main'], exclude: 'x/*' }, status: ['success', 'failure'] },
    { cron: 'n*' },
  ],
  depends_on: ['lint', { name: 'build', optional: true }],
  matrix: { include: [{ A: 1.1, B: 'x' }, { A: true }] },
  steps: [
    {
      name: 'a',
      image: 'node:24',
      commands: ['make ${A}', 'echo "${CI_COMMIT_MESSAGE}"'],
      environment: { A: 'b', C: 1, D: { from_secret: 'd' } },
      failure: 'ignore',
      secrets: [{ from_secret: 'k', path: '/run/secrets/k' }],
    },
    {
      name: 'b',
      commands: 'make check',
      when: [
        {
          status: ['success', 'failure'],
          matrix: { A: 1 },
          path: { include: ['*.c'], ignore_message: '[all]', on_empty: false },
        },
        {
          evaluate: 'CI_REPO == "a"',
          local: false,
          platform: 'linux/*',
          ref: 'r',
          repo: 'x/*',
          tag: 'v*',
          instance: 'i',
        },
      ],
      environment: ['A=b'],
    },
    {
      name: 'c',
      image: 'p',
      settings: { list: [1, 'a'], map: { a: [{ from_secret: 's' }] } },
      depends_on: ['a', { name: 'b', optional: true }],
      pull: true,
      detach: true,
      directory: 'x',
      timeout: '5m',
      artifacts: ['d'],
      privileged: false,
    },
    { name: 'd', image: 'q', entrypoint: ['sh', '-c', 'x ${A}'], needs: 'a' },
    { name: 'e', script: ['x'] },
  ],
  services: [
    {
      name: 'db',
      image: 'postgres:17',
      ready: { command: 'pg_isready', timeout: '30s' },
      environment: { P: 'x' },
      ports: [5432, '53/udp'],
      failure: 'ignore',
    },
    { name: 'web', image: 'w', commands: 'serve', ready: { http: ':8080/health' }, when: { event: 'push' } },
    { name: 'log', image: 'w', entrypoint: 'x', ready: { log: 'up' }, directory: '/', pull: false },
    { name: 'tcp', image: 'w', settings: { a: 1 }, ready: { tcp: 80 } },
    { name: 'none', image: 'w', ready: 'none' },
  ],
  environment: { CI: true, NONE: null, V: '${A}' },
  timeout: '30m',
  resources: { cpus: 1.5, memory: '4GiB', disk: 10_000_000_000, pids: 100 },
  network: { allow: ['a.example', '*.b.example'] },
  caches: [{ name: 'npm', path: '/root/.npm', key: ['package-lock.json'] }],
  artifacts: ['dist/**', { path: ['*.deb'], when: 'always' }],
  labels: { platform: 'linux/amd64', n: 1 },
  concurrency: { limit: 1, group: 'g ${CI_COMMIT_BRANCH}' },
  retry: { max: 1, when: ['infrastructure'] },
  parallel: 2,
  workspace: { base: '/go', path: 'src' },
  clone: { git: { image: 'woodpeckerci/plugin-git', settings: { depth: 1 } } },
  skip_clone: false,
  runs_on: ['success'],
  variables: [1],
  anchors: {},
};

const scalars = [null, true, 0, -1, 1.5, 1e300, Number.MAX_SAFE_INTEGER];
const texts = [
  ...'.. / ! { [ * none egress 0s 999999999h 9TiB 1e9 __proto__ constructor toString ${A} ${A:0:1} $$ a'.split(
    ' ',
  ),
  '${CI_COMMIT_MESSAGE}',
  '',
  ' ',
  '\0',
  '\ud800',
  'x'.repeat(5000),
];
const lists = [[], [[]], [{}], [null, [null]], ['a', 'a']];
const maps = [
  {},
  { '': '' },
  { status: {} },
  { path: {} },
  { allow: [] },
  { from_secret: 'a' },
  { $ref: '#' },
];

/** Values that are wrong in most places. */
export const oddities: readonly unknown[] = [
  ...scalars,
  ...texts,
  ...lists,
  ...maps,
  JSON.parse('{"__proto__": {"steps": []}}'),
];
