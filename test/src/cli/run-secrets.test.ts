import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { type Directory, temporaryDirectory } from '../../workers/directory.ts';
import { cofferdam, command, dataDir, image, makeImage } from './cofferdam.ts';

let source: Directory;
let keys: Directory;
beforeAll(makeImage, 300_000);
beforeEach(() => {
  source = temporaryDirectory();
  keys = temporaryDirectory();
  source.write({ '.cofferdam.yaml': workflow });
  keys.write({ key: '-----BEGIN KEY-----\nbG9uZyBlbm91Z2g\n-----END KEY-----\n', short: 'abc\n' });
});
afterEach(() => {
  source[Symbol.dispose]();
  keys[Symbol.dispose]();
});

const workflow = `image: ${image}
steps:
  - name: before
    commands: [env, 'ls -A /run/secrets', 'echo tool > /usr/local/bin/tool']
  - name: deploy
    environment: { TOKEN: { from_secret: token } }
    secrets: [{ from_secret: key }]
    commands:
      - test "$TOKEN" = correct-horse && wc -c < /run/secrets/key && echo login > ~/.netrc
      - echo "$TOKEN"; printf %s "$TOKEN" | base64; cat /run/secrets/key
      - printf %.7s "$TOKEN"; sleep 0.2; printf '%s\\n' "$TOKEN" | tail -c 7
      - cp /run/secrets/key copy
  - name: after
    commands: ['ls -A /run/secrets ~/.netrc || true', 'test -e /usr/local/bin/tool', 'cat copy']
`;

describe('cofferdam run --secret', () => {
  test('gives a secret to the steps that name it and to no other, and masks it in all', async () => {
    const secrets = ['--secret', 'token', '--secret', `key=@${join(keys.path, 'key')}`];
    const { code, stdout } = await cofferdam(['run', ...secrets, source.path], {
      env: { token: 'correct-horse' },
    });
    const log = stdout.toString();
    expect(code, log).toBe(0);
    for (const secret of ['correct', 'horse', 'Y29ycmVjdC1ob3JzZQ', 'BEGIN', 'bG9uZyB'])
      expect(log).not.toContain(secret);
    const output = log.split('\n').filter((line) => !/^(\+|CI|COFF|HOME|PATH|PWD)/.test(line));
    expect(output).toEqual([
      '53',
      '********',
      '********',
      // The key, and on its line the next command, as the newline at the end of its file was not kept.
      '********+ printf %.7s "$TOKEN"; sleep 0.2; printf \'%s\\n\' "$TOKEN" | tail -c 7',
      '********',
      "ls: cannot access '/root/.netrc': No such file or directory",
      '/run/secrets:',
      '********',
    ]);
  });

  test('stdin may hold one', async () => {
    const script = 'echo correct-horse | "$0" run --secret token=@- --secret "key=@$1" "$2"';
    const { stdout } = await run({
      file: 'sh',
      args: ['-c', script, command, join(keys.path, 'key'), source.path],
      env: { ...process.env, COFFERDAM_DATA: dataDir },
    });
    expect(stdout.toString()).toContain('********');
  });

  test.each<[string, readonly string[], RegExp]>([
    [
      'names one that was not given',
      [],
      /^step 'deploy' names the secret 'token': give it with --secret token=@FILE/,
    ],
    ['is given a value', ['token=correct-horse'], /^--secret takes NAME, .* or NAME=@FILE; not a value/],
    ['is given a variable that is not there', ['no_such'], /^--secret no_such: there is no variable no_such/],
    [
      'is given a file that is not there',
      ['token=@/no/such'],
      /^--secret token: cannot read \/no\/such: ENOENT/,
    ],
    [
      'is given a short one',
      ['token=@SHORT'],
      /^--secret token: a secret needs at least 8 bytes, and this one has 3/,
    ],
    ['is given a name that is none', ['a/b=@SHORT'], /^--secret a\/b: 'a\/b' cannot name a secret/],
  ])('a build that %s does not begin', async (_, secrets, message) => {
    const options = secrets.flatMap((each) => ['--secret', each.replace('SHORT', join(keys.path, 'short'))]);
    const { code, stdout, stderr } = await cofferdam(['run', ...options, source.path]);
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: '' });
    expect(stderr.replace(/^(cofferdam|error): /, '')).toMatch(message);
    expect(stderr).not.toContain('correct-horse');
  });
});
