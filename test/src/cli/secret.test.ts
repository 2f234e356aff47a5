import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start } from '../../../runtime/command.ts';
import { newRepository } from '../../../src/repositories/change.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from '../api/service.ts';
import { commandEnvironment, commandFor, main, type RunCommand } from './client.ts';

const redis = useRedis();
let service: TestService;
let cofferdam: RunCommand;
beforeAll(async () => {
  service = await startService(await redis.connect());
  cofferdam = await commandFor(service);
  const repository = newRepository({ name: 'acme/app', forge: 'github', url: 'https://github.com/acme/app' });
  await service.repositories.add(repository, { webhookSecrets: ['x'] });
});
afterAll(() => service.stop());

const valueOf = async (name: string) => (await service.secrets.valuesFor('acme/app', 'push')).get(name);

/** What all processes of this machine show of themselves to others of the same user. */
function shownByProcesses(): string {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => ['cmdline', 'environ'].map((file) => `/proc/${pid}/${file}`))
    .map((file) => {
      try {
        return readFileSync(file, 'utf8');
      } catch {
        return '';
      }
    })
    .join('\n');
}

describe.concurrent('cofferdam secret', () => {
  test('set takes the value from stdin, without its last newline, and says so', async () => {
    const set = await cofferdam(['secret', 'set', 'PIPED', '--repo', 'acme/app'], 'line 1\nline 2\n\n');
    expect(set).toEqual({
      code: 0,
      stdout: '',
      stderr: 'left out the newline at the end\nset PIPED of repository acme/app\n',
    });
    expect(await valueOf('PIPED')).toBe('line 1\nline 2\n');
  });

  test('set takes it from a file, for the triggers that are named', async () => {
    const path = join(service.directory, 'value');
    writeFileSync(path, 'no newline');
    const args = [
      'secret',
      'set',
      'FILED',
      '--org',
      'acme',
      '--trigger',
      'tag,cron',
      '--file',
      path,
      '--json',
    ];
    const set = await cofferdam(args);
    expect(set.stderr).toBe('');
    expect(JSON.parse(set.stdout)).toMatchObject({
      name: 'FILED',
      scope: { kind: 'organization', name: 'acme' },
      triggers: ['tag', 'cron'],
    });
    expect((await service.secrets.valuesFor('acme/app', 'tag')).get('FILED')).toBe('no newline');
    const listed = await cofferdam(['secret', 'ls', '--org', 'acme']);
    expect(listed.stdout).toMatch(/^NAME +OF +TRIGGERS +SET\nFILED +acme\/\* +tag,cron +\d{4}-/);
    expect((await cofferdam(['secret', 'rm', 'FILED', '--org', 'acme'])).code).toBe(0);
    expect((await cofferdam(['secret', 'rm', 'FILED', '--org', 'acme'])).code).toBe(2);
  });

  test('set shows the value to nobody who looks at processes', async () => {
    const value = 'value-of-the-watched-process';
    const ended = cofferdam(['secret', 'set', 'WATCHED', '--repo', 'acme/app'], value);
    let seen = '';
    const watch = async (): Promise<void> => {
      seen += shownByProcesses();
      if ((await Promise.race([ended, sleep(20)])) === undefined) await watch();
    };
    await watch();
    expect((await ended).code).toBe(0);
    expect(seen).toContain('WATCHED');
    expect(seen).not.toContain(value);
    expect(await valueOf('WATCHED')).toBe(value);
  });

  test.skipIf(!existsSync('/usr/bin/script'))(
    'set asks on a terminal, and does not show what is typed',
    async () => {
      const command = `exec '${process.execPath}' '${main}' secret set TYPED --repo acme/app`;
      const terminal = start(
        { file: 'script', args: ['-qec', command, '/dev/null'], env: commandEnvironment(service) },
        { stdio: ['pipe', 'pipe', 'ignore'] },
      );
      let shown = '';
      terminal.stdout?.setEncoding('utf8').on('data', (text: string) => {
        const asked = shown.includes('value of TYPED: ');
        shown += text;
        if (!asked && shown.includes('value of TYPED: '))
          terminal.stdin?.write('typed-wrong\u007f\u007f\u007f\u007f\u007fright\r');
      });
      await once(terminal, 'close');
      expect(shown).toContain('set TYPED of repository acme/app');
      expect(shown).not.toMatch(/typed-|right/);
      expect(await valueOf('TYPED')).toBe('typed-right');
    },
  );

  test.for<[string, readonly string[], string | Buffer, RegExp]>([
    ['no owner', ['A'], 'very secret', /--repo NAME, or --org NAME/],
    ['two owners', ['A', '--repo', 'a', '--org', 'b'], 'very secret', /--repo NAME, or --org NAME/],
    ['too short a value', ['A', '--repo', 'acme/app'], 'short\n', /at least 8 bytes, and this one has 5/],
    ['too long a value', ['A', '--repo', 'acme/app'], 'x'.repeat(70_000), /has more than 64 KiB/],
    [
      'what is no text',
      ['A', '--repo', 'acme/app'],
      Buffer.alloc(20, 0xff),
      /no text in UTF-8; encode it, as by base64/,
    ],
    [
      'a trigger that is none',
      ['A', '--repo', 'acme/app', '-t', 'merge'],
      '',
      /--trigger takes manual,push,.*'merge'/,
    ],
    [
      'a repository that is not there',
      ['A', '--repo', 'acme/none'],
      'very secret',
      /no repository "acme\/none"/,
    ],
    ['the value as an argument', ['A', 'very secret', '--repo', 'acme/app'], '', /too many arguments/],
  ])('set refuses %s', async ([, args, input, message]) => {
    const { code, stderr } = await cofferdam(['secret', 'set', ...args], input);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    expect(await valueOf('A')).toBeUndefined();
  });
});
