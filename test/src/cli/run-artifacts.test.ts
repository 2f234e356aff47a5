import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { temporaryDirectory } from '../../workers/directory.ts';
import { eventsOf, useSource } from './cofferdam.ts';

const { source, workflow, runSource } = useSource();

describe('--artifacts', () => {
  const steps = (...commands: readonly string[]) => `steps: [{commands: ${JSON.stringify(commands)}}]\n`;

  test('keeps what the build made, with sizes and checksums that are right', async () => {
    using out = temporaryDirectory();
    const directory = join(out.path, 'made/by the command');
    workflow(
      `artifacts: ['dist/**', '*.bin', nothing]\n${steps(
        'mkdir -p dist/deep; head -c 3000000 /dev/urandom >dist/deep/large; echo small >dist/small',
        'printf x >"dist/$(printf "new\\nline")"; : >empty.bin; echo no >other',
        'chmod 755 dist/small; cat dist/deep/large | sha256sum',
      )}`,
    );
    const { code, stdout, stderr } = await runSource('--json', '--artifacts', directory);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const events = eventsOf(stdout);
    const { artifacts = [] } = events.at(-1)?.record ?? {};
    expect(artifacts.map(({ path, size }) => [path, size])).toEqual([
      ['dist/deep/large', 3_000_000],
      ['dist/new\nline', 1],
      ['dist/small', 6],
      ['empty.bin', 0],
    ]);
    expect(events.filter(({ type }) => type === 'artifact').length).toBe(4);
    expect(events).toContainEqual({ type: 'warning', message: "artifacts: nothing matches 'nothing'" });
    const { stdout: sums } = await run({
      file: 'sha256sum',
      args: ['--zero', ...artifacts.map(({ path }) => path)],
      cwd: directory,
    });
    expect(sums.toString()).toBe(artifacts.map(({ sha256, path }) => `${sha256}  ${path}\0`).join(''));
    expect(stdout.toString()).toContain(`${artifacts[0]?.sha256}  -`);
  });

  test('after a failure those that are wanted then', async () => {
    using out = temporaryDirectory();
    workflow(
      `artifacts: [bin, {path: log, when: failure}, {path: both, when: always}]\n${steps('touch bin log both; false')}`,
    );
    const { code, stderr } = await runSource('--artifacts', out.path);
    expect(code).toBe(1);
    expect(readdirSync(out.path).sort()).toEqual(['both', 'log']);
    expect(stderr).toContain(`artifacts are in ${out.path}`);
  });

  test('never what is not a file of the workspace', async () => {
    using out = temporaryDirectory();
    workflow(
      `artifacts: ['**', 'etc/*']\n${steps(
        'rm .cofferdam.yaml; mkdir d; ln -s /etc/shadow d/shadow; ln -s /etc etc; ln -s / root; mkfifo fifo; ln -s ../.. d/up',
        'ln /etc/hostname hard 2>/dev/null || :; rm -f hard; echo fine >fine',
      )}`,
    );
    const { code, stderr } = await runSource('--artifacts', out.path);
    expect({ code, files: readdirSync(out.path, { recursive: true }) }).toEqual({ code: 0, files: ['fine'] });
    expect(stderr).toContain("warning: artifacts: nothing matches 'etc/*'\n");
  });

  test('in the source itself follow no symlink of a stranger', async () => {
    using elsewhere = temporaryDirectory();
    await run({ file: 'ln', args: ['-s', elsewhere.path, join(source.path, 'dist')] });
    workflow(`artifacts: ['dist/*']\n${steps('rm dist; mkdir dist; echo evil >dist/evil')}`);
    const { code, stderr } = await runSource('--artifacts', source.path);
    expect({ code, files: readdirSync(elsewhere.path) }).toEqual({ code: 3, files: [] });
    expect(stderr).toContain(
      `dist is a symlink; remove it, or choose another directory\nerrored (artifacts)\n`,
    );
  });
});
