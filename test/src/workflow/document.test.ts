import { describe, expect, test } from 'vitest';
import { readYaml } from '../../../src/workflow/document.ts';
import { problemsOf } from './problems.ts';

describe('hostile files end soon, and in one clear problem', () => {
  const lines = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index)).join('\n');
  const bomb = lines(
    30,
    (level) => `l${level}: &l${level} [${`*l${level - 1}, `.repeat(level === 0 ? 0 : 10)}x]`,
  );
  const lists = `l0: &l0 [a]\n${lines(
    30,
    (level) => `l${level + 1}: &l${level + 1}\n  - <<: [${Array(10).fill(`*l${level}`).join(', ')}]`,
  )}`;
  const merges = `l0: &l0 {a: 1}\n${lines(
    30,
    (level) => `l${level + 1}: &l${level + 1} {<<: [${Array(10).fill(`*l${level}`).join(', ')}]}`,
  )}`;

  test.each([
    ['more than 1 MiB', '#'.repeat(2 ** 20 + 1), /^1:1: the file is larger than 1 MiB$/],
    ['more than 1 MiB of UTF-8', `# ${'é'.repeat(2 ** 19)}`, /^1:1: the file is larger than 1 MiB$/],
    ['nested flow lists', '['.repeat(10_000), /^1:6\d: nested more than 64 levels deep$/],
    ['nested maps', lines(200, (level) => `${' '.repeat(level)}a:`), /: nested more than 64 levels deep$/],
    ['an alias bomb', bomb, /: more than 100000 values, aliases counted in full$/],
    ['a merge bomb', merges, /: more than 100000 values, aliases counted in full$/],
    ['a bomb of merged lists', lists, /: more than 100000 values, aliases counted in full$/],
    ['as many values', `steps: [${'a,'.repeat(100_001)}]`, /: more than 100000 values/],
    ['repeated keys by the thousand', lines(20_000, () => 'a: 1'), /^2:1: 'a' is already set in this map/],
    [
      'unknown keys by the thousand',
      lines(20_000, (index) => `a${index}: 1`),
      /^1:1: the workflow has no 'steps'/,
    ],
  ])('%s', { timeout: 10_000 }, (_, text, problem) => {
    expect(problemsOf(text)[0]).toMatch(problem);
  });

  test('a bomb is one problem, however much comes after it', () => {
    expect(problemsOf(bomb)).toHaveLength(1);
  });

  test('at most 100 problems are shown, and how many more there are', () => {
    const problems = problemsOf(`image: a\nsteps: [{commands: x}]\n${lines(150, (index) => `a${index}: 1`)}`);
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)).toBe('and 50 more');
  });
});

describe('places and spellings', () => {
  const text = `a: 1.10
b: "x"
c: |
  text
d: >-
  folded
e: &e [p, q]
f:
  - <<: *e
  - r
  - <<: [*e, *e]
g: { <<: { h: 'i' } }
j:
`;
  const document = readYaml(text, 'w.yaml');

  test('lists can be merged into lists, as maps into maps', () => {
    expect(JSON.parse(JSON.stringify(document.value))).toEqual({
      a: 1.1,
      b: 'x',
      c: 'text\n',
      d: 'folded',
      e: ['p', 'q'],
      f: ['p', 'q', 'r', 'p', 'q', 'p', 'q'],
      g: { h: 'i' },
      j: null,
    });
  });

  test('in a list, a map that is merged stays an item, and maps and lists do not mix', () => {
    const data = (item: string) => readYaml(`l: &l [1]\nm: &m {a: 1}\nn:\n  - ${item}\n`, 'w.yaml').value;
    expect(JSON.stringify(data('<<: *m'))).toContain('"n":[{"a":1}]');
    expect(JSON.stringify(data('<<: [*m, *m]'))).toContain('"n":[{"a":1}]');
    expect(JSON.stringify(data('{ <<: *m, b: 2 }'))).toContain('"n":[{"a":1,"b":2}]');
    expect(() => data('<<: [*l, *m]')).toThrow('4:5: << takes a map or a list of maps');
    expect(() => data('{ <<: *l, b: 2 }')).toThrow('4:7: << takes a map or a list of maps');
  });

  test.each([
    ['a', '1:4', { source: '1.10', plain: true }],
    ['b', '2:4', { source: 'x', plain: false }],
    ['c', '3:4', { source: 'text\n', plain: false }],
    ['d', '5:4', { source: 'folded', plain: false }],
    ['e', '7:7', undefined],
    ['e.1', '7:11', { source: 'q', plain: true }],
    ['f.0', '7:8', { source: 'p', plain: true }],
    ['f.2', '10:5', { source: 'r', plain: true }],
    ['g.h', '12:15', { source: 'i', plain: false }],
    ['g.h.x', '12:15', undefined],
    ['j', '13:1', { source: '', plain: true }],
    ['k', '1:1', undefined],
  ])('%s is at %s', (path, place, scalar) => {
    const { line, column } = document.place(path.split('.'), 'value');
    expect(`${line}:${column}`).toBe(place);
    expect(document.scalar(path.split('.'))).toEqual(scalar);
  });
});
