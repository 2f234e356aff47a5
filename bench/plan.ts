import { planBuild } from '../src/workflow/build-plan.ts';
import type { BuildCircumstances } from '../src/workflow/conditions.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';

const circumstances: BuildCircumstances = {
  variables: {
    CI_REPO: 'acme/shop',
    CI_REPO_DEFAULT_BRANCH: 'main',
    CI_PIPELINE_EVENT: 'push',
    CI_COMMIT_BRANCH: 'main',
    CI_COMMIT_REF: 'refs/heads/main',
    CI_COMMIT_SHA: '3f786850e387550fdab836ed7e6dc881de23001b',
    CI_COMMIT_MESSAGE: 'Sort the "open" orders by date; see #12 `now`',
    CI_COMMIT_AUTHOR: 'ada',
  },
  platform: 'linux/amd64',
  cron: undefined,
  changed: ['services/orders/main.go', 'go.mod'],
  where: 'service',
};

/** Workflow files of 40 to 120 lines, no two alike, as different projects write them, from text to plan. */
export async function plan(site: Site): Promise<Row[]> {
  const count = site.runs * 100;
  const rounds = 10;
  const files = Array.from({ length: count }, (_, n) => ({
    file: `.woodpecker/service-${n}.yaml`,
    text: workflow(n),
  }));
  const lines = files.reduce((sum, { text }) => sum + text.split('\n').length, 0);
  let at = 0;
  const planSome = async (): Promise<number> => {
    const some = files.slice(at, at + count / rounds);
    // The warm-up takes the first files, which nobody remembers when they come again.
    at = (at + some.length) % count;
    const begun = performance.now();
    for (const each of some) planBuild([each], circumstances);
    return (some.length / (performance.now() - begun)) * 1e3;
  };
  const [samples = []] = await takeTurns(site.stop, rounds, [planSome]);
  const what = `${count} files of ${Math.round(lines / count)} lines, parsed and planned`;
  return [{ what, unit: '/s', better: 'more', samples, target: 2000 }];
}

/** Every third has a matrix of two to six combinations, every second services; all have conditions and variables. */
function workflow(n: number): string {
  const steps = Array.from({ length: 4 + (n % 6) }, (_, index) => step(n, index));
  return [
    `# Checks and builds service ${n}.`,
    'variables:',
    `  - &image golang:1.${20 + (n % 5)}`,
    '  - &changes',
    '    - event: [push, pull_request]',
    `      path: ['services/orders-${n}/**', 'services/*/main.go', 'go.*']`,
    '    - event: [tag, manual]',
    '',
    'when:',
    '  - event: push',
    `    branch: [main, release/${n}.*]`,
    '  - event: [pull_request, tag, manual]',
    '',
    ...(n % 3 === 0 ? matrix(n) : []),
    'environment:',
    `  SERVICE: orders-${n}`,
    '  RELEASE: 1.10',
    '',
    'steps:',
    ...steps.flat(),
    ...(n % 2 === 0 ? services(n) : []),
    '',
  ].join('\n');
}

function matrix(n: number): string[] {
  const versions = ['1.22', '1.23', '1.24'].slice(0, 1 + (n % 2) + (n % 4 === 3 ? 1 : 0));
  return [
    'matrix:',
    `  GO_VERSION: [${versions.map((each) => `'${each}'`).join(', ')}]`,
    '  DATABASE: [16, 17]',
    '',
  ];
}

function step(n: number, index: number): string[] {
  return [
    `  - name: part-${index}`,
    '    image: *image',
    ...(index === 0 ? [] : [`    depends_on: [part-${Math.floor(index / 2)}]`]),
    ...(index % 2 === 0 ? ['    environment:', `      PART: ${index}`, '      GOFLAGS: -mod=readonly'] : []),
    '    commands:',
    `      - go test -count=1 ./services/orders-${n}/part-${index}/...`,
    ...(index % 3 === 0
      ? [
          '      - |',
          `        for file in parts/${index}/*.sql; do`,
          '          psql -f "$file"',
          '        done',
        ]
      : [
          `      - echo "\${CI_COMMIT_SHA:0:8} of \${CI_COMMIT_BRANCH}, \${CI_COMMIT_MESSAGE}" > ${index}.txt`,
        ]),
    index % 4 === 3 ? '    when: { status: [success, failure] }' : '    when: *changes',
  ];
}

function services(n: number): string[] {
  return [
    'services:',
    '  - name: database',
    '    image: postgres:17',
    '    environment:',
    `      POSTGRES_DB: orders_${n}`,
    '      POSTGRES_PASSWORD: secret',
    '  - name: cache',
    '    image: redis:7',
    '    ports: [6379]',
  ];
}
