import { describe, expect, test } from 'vitest';
import { problemsOf } from './problems.ts';

describe('every problem has a place, a cause and a remedy', () => {
  const base = 'image: a\nsteps: [{commands: x}]\n';

  test.each<[string, string, string[]]>([
    ['empty', '', ['1:1: the file is empty']],
    ['only a comment', '# nothing\n', ['1:1: the file is empty']],
    ['a list', '- a\n', ['1:1: the file must be a map with steps, not a list']],
    ['text', 'hello\n', ["1:1: the file must be a map with steps, not 'hello'"]],
    ['NUL', 'image: a\nx: \0', ['2:4: the file holds a NUL character: it is not text']],
    ['two documents', `${base}---\n${base}`, ['3:1: a second document begins; keep one workflow in a file']],
    ['a repeated key', `${base}image: b\n`, ["3:1: 'image' is already set in this map; keep one of them"]],
    [
      'a colon in plain text',
      `${base}timeout: a: b\n`,
      [
        "3:11: not valid YAML: bad indentation of a mapping entry; put text that has ': ' in it, or begins with a sign, in quotes",
      ],
    ],
    ['an unknown alias', `${base}timeout: *t\n`, ['3:10: *t names nothing: no &t comes before it']],
    ['a circle', `${base}x: &x [*x]\n`, ['3:8: *x is inside what it names']],
    ['a bad merge', `${base}environment:\n  <<: 5\n`, ['4:3: << takes a map or a list of maps']],
    ['a map as a key', `${base}? {a: b}\n: c\n`, ['3:3: a key must be text']],
    ['an unknown tag', `${base}timeout: !x 30m\n`, ['3:10: the tag !x does not fit, or is not known']],
    [
      'a tag of YAML 1.1',
      `${base}timeout: !!binary aGk=\n`,
      ['3:10: the tag !!binary does not fit, or is not known'],
    ],
    [
      'a key with a slash',
      'image: a\nsteps:\n  a/b~c: {commands: 5}\n',
      ["3:21: steps.a/b~c.commands must be a command or list of commands, not 5; put it in quotes: '5'"],
    ],
    [
      'a key used twice by an alias',
      'image: a\nsteps: [&x {commands: x, foo: 1}, *x]\n',
      [
        "2:26: unknown key 'foo'; a step has name, image, packages, commands, entrypoint, settings, environment, secrets, directory, depends_on, when, failure, detach, pull, timeout, artifacts",
      ],
    ],
    ['no steps', 'image: a\n', ["1:1: the workflow has no 'steps'"]],
    ['empty steps', 'image: a\nsteps: []\n', ['2:8: steps is empty']],
    ['an empty map of steps', 'image: a\nsteps: {}\n', ['2:8: steps is empty']],
    [
      'a step without commands',
      'image: a\nsteps:\n  - name: x\n',
      ["3:5: step 'x' has no commands; add `commands:`"],
    ],
    ['no commands in a step', 'image: a\nsteps: [{commands: []}]\n', ['2:20: steps[0].commands is empty']],
    [
      'no image',
      'steps:\n  - name: one\n    commands: x\n',
      ["2:5: step 'one' has no image; set `image:` at the top of the file or in the step"],
    ],
    [
      'a repeated name of a step that others wait for',
      'image: a\nsteps:\n  - {name: x, commands: x}\n  - {name: x, commands: x, depends_on: []}\n',
      [
        "4:12: another step is called 'x', and steps wait for each other by name; give each step a name of its own",
      ],
    ],
    [
      'a boolean command',
      'image: a\nsteps: [{commands: [true]}]\n',
      ["2:21: steps[0].commands[0] must be a command such as make test, not true; put it in quotes: 'true'"],
    ],
    [
      'a command with a colon',
      'image: a\nsteps:\n - commands:\n   - echo a: b\n',
      [
        "4:6: steps[0].commands[0] must be a command such as make test, not a map; a colon and a space make a map: put the whole command in quotes, or write it after '- |'",
      ],
    ],
    [
      'an empty value',
      `${base}timeout:\n`,
      ['3:1: timeout must be a duration such as 30m, 1h30m or 90s, not nothing'],
    ],
    [
      'a timeout without unit',
      `${base}timeout: 30\n`,
      ['3:10: timeout must be a duration such as 30m, 1h30m or 90s, not 30'],
    ],
    ['a timeout of nothing', `${base}timeout: 0s\n`, ['3:10: timeout must be 1s to 168h, not 0s']],
    ['an endless timeout', `${base}timeout: 169h\n`, ['3:10: timeout must be 1s to 168h, not 169h']],
    [
      'a misspelled value',
      `image: a\nsteps:\n - commands: x\n   failure: ignored\n`,
      ["4:13: steps[0].failure must be fail, ignore or cancel, not 'ignored'"],
    ],
    [
      'a misspelled status',
      `image: a\nsteps:\n - commands: x\n   when: {status: [failed]}\n`,
      ["4:20: steps[0].when.status[0] must be success or failure, not 'failed'"],
    ],
    [
      'a bad variable name',
      `${base}environment: {a-b: 1}\n`,
      ["3:15: 'a-b' must be a name of letters, digits and _ that does not begin with a digit"],
    ],
    [
      'a variable set twice',
      `${base}environment: [A=1, A=2]\n`,
      ["3:20: 'A' is already set in this list; keep one of them"],
    ],
    [
      'NUL in a command',
      'image: a\nsteps: [{commands: "a\\0b"}]\n',
      ["2:20: steps[0].commands must be a command such as make test, not 'a\\x00b'"],
    ],
    [
      'an image that looks like an option',
      'image: --help\nsteps: [{commands: x}]\n',
      ["1:8: image must be an image reference such as node:24 or bootstrap:bookworm+make, not '--help'"],
    ],
    [
      'too little of everything',
      `${base}resources: {cpus: 0, memory: 31MiB, disk: 1kB, pids: 7}\n`,
      ['3:19: resources.cpus must be at least 0.01, not 0', '3:54: resources.pids must be at least 8, not 7'],
    ],
    [
      'too little memory and disk',
      `${base}resources: {memory: 31MiB, disk: 1kB}\n`,
      [
        '3:21: resources.memory must be 32MiB to 64TiB, not 31MiB',
        '3:34: resources.disk must be 1MiB to 64TiB, not 1kB',
      ],
    ],
    [
      'a doubtful unit',
      `${base}resources: {memory: 4G}\n`,
      ["3:21: resources.memory must be a size such as 4GiB, 512MiB or 2GB, not '4G'"],
    ],
    [
      'an infinite number',
      `${base}resources: {cpus: .inf}\n`,
      ['3:19: resources.cpus must be a number of processors, not Infinity'],
    ],
    [
      'commands beyond the kernel',
      `image: a\nsteps: [{commands: ${'x'.repeat(70_000)}}]\n`,
      [
        "2:20: the commands of step 'step-1' are longer than Linux lets one argument be (128 KiB); put them in a script in the repository",
      ],
    ],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });

  test.each([
    ['/etc/passwd', "'/etc/passwd' is absolute; patterns are relative to the workspace"],
    ['../x', "'../x' leaves the workspace; patterns cannot contain .."],
    ['a/../b', "'a/../b' leaves the workspace; patterns cannot contain .."],
    ['{..,a}/b', "'{..,a}/b' leaves the workspace; patterns cannot contain .."],
    ['', "the pattern names no file; all files of the workspace are '**'"],
    ['./', "the pattern names no file; all files of the workspace are '**'"],
    ['a\0b', 'a path cannot hold NUL'],
    ['dist/', "'dist/' is a directory; its files are 'dist/**'"],
    ['!x', "'!x' is refused: no pattern excludes; name what is wanted, as 'dist/*.tgz'"],
  ])('artifact %j', (glob, message) => {
    for (const artifacts of [[glob], { path: glob }]) {
      const text = JSON.stringify({ image: 'a', steps: [{ commands: 'x' }], artifacts });
      expect(problemsOf(text)).toEqual([expect.stringContaining(`: ${message}`)]);
    }
  });

  test('all problems are told at once, in order, each place once', () => {
    const text = `
image: 5
steps:
  - name: ""
    comands: make
  - image: [x]
    commands: {}
  - oops
servces: []
artifacts: [5, {path: 5}]
`;
    expect(problemsOf(text)).toEqual([
      '2:8: image must be an image reference such as node:24 or bootstrap:bookworm+make, not 5',
      "4:11: steps[0].name must be a name, not ''",
      "5:5: unknown key 'comands'; did you mean 'commands'?",
      '6:12: steps[1].image must be an image reference such as node:24 or bootstrap:bookworm+make, not a list',
      '7:15: steps[1].commands must be a command or list of commands, not a map; ' +
        "a colon and a space make a map: put the whole command in quotes, or write it after '- |'",
      "8:5: steps[2] must be a step, not 'oops'",
      "9:1: unknown key 'servces'; did you mean 'services'?",
      '10:13: artifacts[0] must be a pattern of paths or map with path and when, not 5',
      '10:23: artifacts[1].path must be a pattern of paths or list of patterns such as dist/** or *.deb, not 5',
    ]);
  });

  test('what a file says does not steer the terminal', () => {
    const [problem] = problemsOf('image: a\nsteps: [{commands: x}]\n"\\e[2J\\n\\x9b": 1\n');
    expect(problem).toMatch(/^3:1: unknown key '\\x1b\[2J\\x0a\\x9b'/);
  });
});
