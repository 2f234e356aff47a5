import { expect, test } from 'vitest';
import { problemsOf } from './problems.ts';

const containers = `volumes devices tmpfs dns dns_search extra_hosts networks network_mode network backend_options
  resources caches cache labels runs_on workspace matrix concurrency retry`;

test.each([
  [
    'workflow',
    'volumes networks secrets branches platform version',
    'image: a\nsteps: [{commands: x}]\n',
    '',
  ],
  [
    'step',
    `${containers} services branches platform ports ready group`,
    'image: a\nsteps:\n  - commands: x\n',
    '    ',
  ],
  [
    'service',
    `${containers} depends_on detach secrets`,
    'image: a\nsteps: [{commands: x}]\nservices:\n  - name: b\n    image: b\n',
    '    ',
  ],
  ['condition', 'environment', 'image: a\nsteps: [{commands: x}]\nwhen:\n  event: push\n', '  '],
])('what is known and refused in a %s is told with its place and the reason', (_, keys, text, indent) => {
  for (const key of keys.split(/\s+/)) {
    const [problem, ...others] = problemsOf(`${text}${indent}${key}: []\n`);
    const place = `${text.split('\n').length}:${indent.length + 1}`;
    expect(problem).toMatch(new RegExp(`^${place}: '${key}' is refused: .{10}`));
    expect(others).toEqual([]);
  }
});

test('more rights are refused, no more rights are not', () => {
  const text = (value: boolean) => `steps:\n  - image: a\n    commands: x\n    privileged: ${value}\n`;
  expect(problemsOf(text(true))).toEqual([
    "4:5: 'privileged' is refused: no build has more rights than another; leave it out; docs/security.md says what builds can do without",
  ]);
  expect(problemsOf(text(false))).toEqual([]);
});

test.each([
  ['{ exclude: tag }', "'exclude' of events is refused"],
  ['{ include: push }', "'include' of events is refused"],
  ['{ include: [push], exclude: [tag] }', "'include' and 'exclude' of events are refused"],
])('the old form `event: %s` is refused by its name, with what to write instead', (event, message) => {
  const hint = 'list the events that it is for: `event: [push, manual]`';
  expect(problemsOf(`image: a\nsteps: [{ commands: x }]\nwhen: { event: ${event} }\n`)).toEqual([
    `3:16: ${message}; ${hint}`,
  ]);
  expect(problemsOf(`image: a\nsteps:\n  - commands: x\n    when: [{ event: ${event} }]\n`)).toEqual([
    `4:21: ${message}; ${hint}`,
  ]);
});

test('the old form of secrets is refused by its keys', () => {
  const text = 'image: a\nsteps:\n  - commands: x\n    secrets: [{ source: a, target: B }]\n';
  const why = 'write `environment: { TARGET: { from_secret: SOURCE } }` for a variable';
  expect(problemsOf(text)).toEqual(
    expect.arrayContaining([`4:17: 'source' is refused: ${why}`, `4:28: 'target' is refused: ${why}`]),
  );
});

test('a second clone step is refused in a map as in a list', () => {
  const text = 'image: a\nsteps: [{ commands: x }]\nclone: { git: {}, more: {} }\n';
  expect(problemsOf(text)).toEqual([
    "3:19: 'more' is refused: a workspace has one source; run git in a step",
  ]);
});
