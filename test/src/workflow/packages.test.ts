import { describe, expect, it } from 'vitest';
import { workflowOf } from './planned.ts';
import { problemsOf } from './problems.ts';

const commands = 'x';
const base = 'bootstrap:sid';
const own = (image: string) => ({ kind: 'own', image });
const shared = { kind: 'shared' };

describe('packages', () => {
  it.each([
    ['of the workflow', base, { commands }, `${base}/git,make`, shared],
    ['of an image that has some', `${base}+g++`, { commands }, `${base}+g++/git,make`, shared],
    ['of an image with a layer of some', `${base}/npm`, { commands }, `${base}/npm,git,make`, shared],
    ['of a step too', base, { commands, packages: ['jq'] }, undefined, own(`${base}/git,make,jq`)],
    ['are not those of other images', base, { commands, image: 'a' }, undefined, own('a')],
    [
      'of a step with its own image',
      'a',
      { commands, image: base, packages: ['jq'] },
      undefined,
      own(`${base}/jq`),
    ],
    [
      'come with secrets',
      base,
      { commands, secrets: [{ from_secret: 'token' }] },
      undefined,
      own(`${base}/git,make`),
    ],
  ])('%s', (_what, image, step, ofWorkflow, container) => {
    const top = image === 'a' ? { image } : { image, packages: ['git', 'make'] };
    const plan = workflowOf({ ...top, steps: [step] });
    expect(plan.image).toBe(ofWorkflow);
    expect(plan.steps[0].container).toEqual(container);
  });

  it('of services, and with variables', () => {
    const { services } = workflowOf({
      matrix: { VERSION: ['15'] },
      services: [{ name: 'db', image: base, packages: ['postgresql-${VERSION}'], commands }],
      steps: [{ image: 'a', commands }],
    });
    expect(services.map(({ image }) => image)).toEqual([`${base}/postgresql-15`]);
  });

  const refused: readonly (readonly [string, RegExp])[] = [
    [
      '{ packages: [git], steps: [{ image: a, commands: x }] }',
      /^1:3: packages are added to an image of Debian made here, and there is no image to add them to/,
    ],
    ['{ image: debian, packages: [git], steps: [{ commands: x }] }', /and 'debian' is none/],
    ['{ steps: [{ image: debian, packages: [git], commands: x }] }', /and 'debian' is none/],
    [
      '{ services: [{ name: a, image: b, packages: [git] }], steps: [{ image: a, commands: x }] }',
      /'b' is none/,
    ],
    [
      '{ image: bootstrap:sid, packages: git, steps: [{ commands: x }] }',
      /must be a list of Debian packages/,
    ],
    ['{ image: bootstrap:sid, packages: [], steps: [{ commands: x }] }', /packages/],
    ...['-y', 'git-', 'a/b', './x.deb', 'GIT', 'a b', 'git:arm64', 'git=1', '?x', 'x'].map(
      (name) =>
        [
          `{ image: bootstrap:sid, packages: ["${name}"], steps: [{ commands: x }] }`,
          /must be a? ?name of a Debian package/,
        ] as const,
    ),
  ];
  it.each(refused)('refuses %s', (text, message) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(message)]);
  });
});
