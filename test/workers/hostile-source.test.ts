import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { useDescribedTree } from './described-tree.ts';

const { tree, git, commit, describeTree, hidden } = useDescribedTree();

describe('a hostile repository', () => {
  test('runs nothing, whatever its configuration names', async () => {
    const canary = join(tree.path, 'canary');
    const script = `#!/bin/sh\necho "$0 $*" >>${canary}\n`;
    tree.write({ '.gitignore': '*.o\n', '.gitattributes': '* filter=evil\n', 'a.o': '', 'a.c': '' });
    await commit();
    writeFileSync(join(tree.path, '.git/evil'), script, { mode: 0o755 });
    const hooks = readdirSync(join(tree.path, '.git/hooks'));
    for (const name of hooks) {
      writeFileSync(join(tree.path, '.git/hooks', name.replace('.sample', '')), script, { mode: 0o755 });
    }
    const evil = join(tree.path, '.git/evil');
    for (const [key, value] of [
      ['core.fsmonitor', evil],
      ['core.hooksPath', '.git/hooks'],
      ['core.pager', evil],
      ['core.editor', evil],
      ['core.sshCommand', evil],
      ['core.askPass', evil],
      ['core.excludesFile', '/etc/passwd'],
      ['filter.evil.clean', evil],
      ['filter.evil.smudge', evil],
      ['filter.evil.process', evil],
      ['diff.external', evil],
      ['credential.helper', `!${evil}`],
      ['alias.ls-files', `!${evil}`],
    ] as const) {
      await git('config', key, value);
    }
    tree.write({ 'a.c': 'changed, so that its filter would be asked' });
    rmSync(canary, { force: true });
    expect(await hidden()).toEqual(['a.o']);
    expect(existsSync(canary)).toBe(false);
    await git('status').catch(() => {});
    expect(existsSync(canary), 'the canary sings for a git that reads the configuration').toBe(true);
  });

  test.each([
    ['HEAD that leads out', 'HEAD', 'ref: refs/heads/../../../secret\n'],
    ['HEAD that is no branch', 'HEAD', 'ref: ../secret\n'],
    ['HEAD that is anything', 'HEAD', 'ref: refs/heads/\u001b[2J\n'],
    ['branch that is no commit', 'refs/heads/main', 'the secret\n'],
  ])('cannot put what it likes into the record: %s', async (_, file, content) => {
    await commit();
    tree.write({ secret: 'the secret', [`.git/${file}`]: content });
    const { git: found } = await describeTree();
    expect(found.sha).toBeUndefined();
    expect([undefined, 'refs/heads/main']).toContain(found.ref);
  });

  test('cannot make us wait with a FIFO', async () => {
    await commit();
    for (const name of ['HEAD', 'index', 'info/exclude', 'packed-refs', 'commondir']) {
      rmSync(join(tree.path, '.git', name), { force: true });
      await run({ file: 'mkfifo', args: [join(tree.path, '.git', name)] });
      expect((await describeTree()).hidden).toEqual([]);
      rmSync(join(tree.path, '.git', name));
      tree.write({ '.git/HEAD': 'ref: refs/heads/main\n' });
    }
  });
});
