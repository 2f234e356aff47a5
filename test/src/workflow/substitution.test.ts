import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { substitute } from '../../../src/workflow/substitution.ts';

const variables: Readonly<Record<string, string>> = {
  SHA: '0123456789abcdef',
  TAG: 'v1.2.3',
  BRANCH: 'feature/new-things',
  NAME: 'éLAN vital',
  EMPTY: '',
  PATHS: 'a/b/a/b.tar.gz',
  DOLLAR: '$& $1 ${TAG}',
};
const lookup = (name: string) => variables[name];

test.each([
  ['nothing', 'nothing'],
  ['${TAG}', 'v1.2.3'],
  ['x-${TAG}-${EMPTY}y', 'x-v1.2.3-y'],
  ['${SHA:0:8}', '01234567'],
  ['${SHA:8}', '89abcdef'],
  ['${SHA:100}', ''],
  ['${SHA:12:100}', 'cdef'],
  ['${SHA: -4}', 'cdef'],
  ['${SHA:0:-4}', '0123456789ab'],
  ['${SHA:x}', '0123456789abcdef'],
  ['${TAG##v}', '1.2.3'],
  ['${TAG#*.}', '2.3'],
  ['${TAG##*.}', '3'],
  ['${TAG%.*}', 'v1.2'],
  ['${TAG%%.*}', 'v1'],
  ['${TAG##x}', 'v1.2.3'],
  ['${BRANCH##*/}', 'new-things'],
  ['${BRANCH/\\//-}', 'feature-new-things'],
  ['${PATHS/a/x}', 'x/b/a/b.tar.gz'],
  ['${PATHS//a/x}', 'x/b/x/b.txr.gz'],
  ['${PATHS/#a/x}', 'x/b/a/b.tar.gz'],
  ['${PATHS/%gz/zst}', 'a/b/a/b.tar.zst'],
  ['${PATHS//b}', 'a//a/.tar.gz'],
  ['${NAME,,}', 'élan vital'],
  ['${NAME^^}', 'ÉLAN VITAL'],
  ['${NAME^}', 'ÉLAN vital'],
  ['${NAME,}', 'éLAN vital'],
  ['${#TAG}', '6'],
  ['${EMPTY:-none}', 'none'],
  ['${EMPTY=none}', 'none'],
  ['${TAG:-none}', 'v1.2.3'],
  ['${TAG:+some}', 'some'],
  ['${EMPTY:+some}', ''],
  ['${EMPTY:-${TAG##v}}', '1.2.3'],
  ['${EMPTY:-a:b/c}', 'a:b/c'],
  ['${DOLLAR}', '$& $1 ${TAG}'],
  ['${TAG/v/${DOLLAR}}', '$& $1 ${TAG}1.2.3'],
])('%s becomes %s', (text, expected) => {
  expect(substitute(text, lookup)).toBe(expected);
});

test.each([
  '$TAG',
  '$',
  'a$',
  '${',
  '${TAG',
  '${}',
  '${UNKNOWN}',
  '${UNKNOWN:-x}',
  '${TAG[@]}',
  '${!TAG}',
  '${TAG@Q}',
  '${TAG,,x}',
  '${TAG:-a\nb}',
  '$(echo $TAG) `a` $$ $! $1',
])('%j stays for the shell', (text) => {
  expect(substitute(text, lookup)).toBe(text);
});

test.each([
  ['$${TAG}', '${TAG}'],
  ['$$TAG', '$TAG'],
  ['echo $$; echo $$${TAG}', 'echo $$; echo $${TAG}'],
])('a doubled dollar in %s gives %s', (text, expected) => {
  expect(substitute(text, lookup)).toBe(expected);
});

test('what a value becomes may depend on where it goes', () => {
  expect(substitute('a ${TAG##v} ${UNKNOWN}', lookup, (value, name) => `<${name}=${value}>`)).toBe(
    'a <TAG=1.2.3> ${UNKNOWN}',
  );
});

describe('agrees with bash', () => {
  const patterns = [
    '*',
    '?',
    'a*b',
    '*a',
    'b*',
    '[ab]',
    '[!a]*',
    '[b-a]',
    '[!b-a]',
    '[a-]',
    '[]a]',
    '[a.-/]',
    '*/',
    '/*',
    'ab',
    '\\*',
    '*.*',
  ];
  const values = ['ab/ab.ab', 'aab', 'b', '', 'a*b', 'xx/yy', '..a..'];
  const cases = ['#', '##', '%', '%%'].flatMap((operator) => patterns.map((pattern) => operator + pattern));

  test('on prefixes and suffixes', () => {
    const script = cases.map((each) => `printf '%s\\n' "\${V${each}}"`).join('\n');
    for (const value of values) {
      const expected = execFileSync('bash', ['--norc', '-c', script], { env: { V: value } })
        .toString()
        .split('\n');
      const own = cases.map((each) => substitute(`\${V${each}}`, () => value));
      expect(own).toEqual(expected.slice(0, -1));
    }
  });
});

test('takes linear time with patterns that make others backtrack', () => {
  const value = 'a'.repeat(100_000);
  const before = process.cpuUsage().user;
  expect(substitute(`\${V##${'*a'.repeat(20)}b}`, () => value)).toBe(value);
  expect(substitute(`\${V%${'a*'.repeat(20)}b}`, () => value)).toBe(value);
  for (const text of ['${V:-'.repeat(50_000), '${U:-'.repeat(150) + '}'.repeat(150)]) {
    expect(substitute(text, (name) => (name === 'V' ? 'x' : undefined))).toBe(text);
  }
  expect(process.cpuUsage().user - before).toBeLessThan(10e6);
});
