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
  ['step', `${containers} services ports ready group`, 'image: a\nsteps:\n  - commands: x\n', '    '],
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
    "4:5: 'privileged' is refused: no build has more rights than another",
  ]);
  expect(problemsOf(text(false))).toEqual([]);
});
