import { describe, expect, test } from 'vitest';
import { isTrue } from '../../../src/workflow/expression/evaluate.ts';
import { ExpressionError } from '../../../src/workflow/expression/expression.ts';
import { parseExpression } from '../../../src/workflow/expression/parse.ts';
import { randomFrom } from '../../random.ts';

const variables = {
  CI_PIPELINE_EVENT: 'push',
  CI_REPO: 'owner/repo',
  CI_COMMIT_BRANCH: 'main',
  CI_REPO_DEFAULT_BRANCH: 'main',
  CI_COMMIT_AUTHOR: 'ada',
  CI_COMMIT_MESSAGE: 'Fix it\n\nplease ignore me',
  CI_COMMIT_PULL_REQUEST_LABELS: 'deploy,fast',
  CI_PIPELINE_NUMBER: '12',
};
const judge = (text: string) => isTrue(parseExpression(text), variables);

describe('what the documentation of Woodpecker shows', () => {
  test.each([
    [
      'CI_PIPELINE_EVENT == "push" && CI_REPO == "owner/repo" && CI_COMMIT_BRANCH == CI_REPO_DEFAULT_BRANCH',
      true,
    ],
    ['CI_COMMIT_AUTHOR == "woodpecker-ci"', false],
    ['not (CI_COMMIT_MESSAGE contains "please ignore me")', false],
    ['CI_COMMIT_PULL_REQUEST_LABELS contains "deploy"', true],
    ['SKIP != "true"', true],
  ])('%s is %s', (text, expected) => {
    expect(judge(text)).toBe(expected);
  });
});

test.each([
  ['true', true],
  ['!true', false],
  ['not not true', true],
  ['true or false and false', true],
  ['(true or false) and false', false],
  ['CI_COMMIT_BRANCH in ["main", "develop"]', true],
  ['CI_COMMIT_BRANCH not in ["main"]', false],
  ['CI_COMMIT_BRANCH matches "^ma"', true],
  ['CI_COMMIT_BRANCH not matches "^ma"', false],
  ['not (CI_COMMIT_BRANCH startsWith "release/")', true],
  ['CI_COMMIT_BRANCH endsWith "in"', true],
  ["CI_COMMIT_BRANCH == 'main'", true],
  ['CI_COMMIT_BRANCH == `main`', true],
  ['"a\\"b\\n\\u00e9" == \'a"b\\né\'', true],
  ['1 + 2 * 3 == 7', true],
  ['2 ** 3 ** 0 == 2', true],
  ['-2 + 5 == 3', true],
  ['10 % 4 == 2 and 10 / 4 == 2.5', true],
  ['1_000 == 1e3', true],
  ['int(CI_PIPELINE_NUMBER) > 9', true],
  ['"a" < "b"', true],
  ['UNKNOWN == nil', true],
  ['(UNKNOWN ?? "x") == "x"', true],
  ['UNKNOWN contains "x"', false],
  ['CI_REPO == "owner/repo" ? true : false', true],
  ['CI_REPO[0:5] == "owner"', true],
  ['CI_REPO[-1] == "o" and CI_REPO[:1] == "o" and CI_REPO[6:] == "repo"', true],
  ['len(CI_REPO) == 10', true],
  ['lower("ÀB") == "àb" and upper("a") == "A" and trim(" a ") == "a"', true],
  ['split(CI_COMMIT_PULL_REQUEST_LABELS, ",") == ["deploy", "fast"]', true],
  ['"fast" in split(CI_COMMIT_PULL_REQUEST_LABELS, ",")', true],
  ['any(split(CI_COMMIT_PULL_REQUEST_LABELS, ","), # startsWith "dep")', true],
  ['all(split(CI_COMMIT_PULL_REQUEST_LABELS, ","), {# startsWith "dep"})', false],
  ['CI_COMMIT_PULL_REQUEST_LABELS | split(",") | len() == 2', true],
  ['count(1..10, # % 2 == 0) == 5', true],
  ['join(map(["a", "b"], upper(#)), "-") == "A-B"', true],
  ['true // and so on', true],
  ['constructor == nil and __proto__ == nil', true],
])('%s is %s', (text, expected) => {
  expect(judge(text)).toBe(expected);
});

test.each([
  ['', 'it ends where a value should stand'],
  ['1 +', 'it ends where a value should stand'],
  ['CI_REPO ==', 'it ends where a value should stand'],
  ['(true', "it ends where ')' should stand"],
  ['true true', "'true' at character 6 stands where an operator should"],
  ['"open', 'the text that begins at character 1 does not end'],
  ['a = b', "'=' at character 3 means nothing here"],
  ['CI_REPO', 'it is neither true nor false'],
  ['not CI_REPO', "not needs true or false, not 'owner/repo'"],
  ['int(CI_REPO) > 1', "int() needs a number, not 'owner/repo'"],
  ['nothing(1)', 'there is no function nothing() here'],
  ['constructor()', 'there is no function constructor() here'],
  ['CI_REPO matches "("', "'(' is no regular expression"],
  ['"a" in "abc"', 'in needs a list on its right'],
  ['len(1..100000) > 1', 'a range has 1000 numbers at most'],
  ['('.repeat(200) + 'true' + ')'.repeat(200), 'it is nested too deeply'],
  ['!'.repeat(5000) + 'true', 'it is nested too deeply'],
  ['all(1..1000, all(1..1000, all(1..1000, true)))', 'it takes too many steps'],
])('%s is refused: %s', (text, message) => {
  expect(() => judge(text)).toThrow(new ExpressionError(message));
});

test('a regular expression that makes others backtrack takes linear time', () => {
  const before = process.cpuUsage().user;
  expect(isTrue(parseExpression('X matches "(a+)+$"'), { X: `${'a'.repeat(50_000)}b` })).toBe(false);
  expect(process.cpuUsage().user - before).toBeLessThan(5e6);
});

test('whatever is written is a value or an ExpressionError', () => {
  const words = [
    'a',
    '"x"',
    '1',
    '(',
    ')',
    '[',
    ']',
    '..',
    '?',
    ':',
    '|',
    'not',
    'in',
    '#',
    'any',
    'len',
    '-',
    '+',
    '==',
    ',',
    '{',
    '}',
    '\\',
    '$',
  ];
  const random = randomFrom(7);
  for (let i = 0; i < 3000; i++) {
    const text = Array.from({ length: random(12) }, () => words[random(words.length)]).join(' ');
    try {
      judge(text);
    } catch (error) {
      expect([text, error]).toEqual([text, expect.any(ExpressionError)]);
    }
  }
});
