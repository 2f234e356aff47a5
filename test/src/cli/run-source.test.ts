import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { cofferdam, image, useSource } from './cofferdam.ts';

const { source, workflow, runSource } = useSource();

describe('the source', () => {
  const state = async () => {
    const find = [
      '-printf',
      '%p %y %m %u %g %s %T@ %l\\0',
      '-type',
      'f',
      '-exec',
      'sha256sum',
      '-z',
      '{}',
      ';',
    ];
    return (await run({ file: 'find', args: [source.path, ...find] })).stdout.toString();
  };

  test('stays as it was, whatever a build does to it', async () => {
    source.write({ file: 'content', 'dir/below': 'below', script: '#!/bin/sh\n' });
    chmodSync(join(source.path, 'script'), 0o755);
    workflow(
      'steps: [{commands: ["echo x >>file; chmod 0 dir; chown 1:1 dir/below; ln -sf /etc script; touch new", "rm -rf dir file .cofferdam.yaml", "ls -A"]}]\n',
    );
    const before = await state();
    const { stdout } = await runSource();
    expect(stdout.toString()).toMatch(/\+ ls -A\nnew\nscript\n$/);
    expect(await state()).toBe(before);
  });

  test('has no files that git ignores', async () => {
    source.write({
      '.gitignore': '*.o\n/secret\n',
      'a.c': '',
      'a.o': '',
      'deep/b.o': '',
      'deep/b.c': '',
      'secret/key': '',
    });
    await run({ file: 'git', args: ['init', '--quiet', source.path] });
    const { stdout } = await cofferdam([
      'run',
      '--image',
      image,
      source.path,
      '--',
      'find',
      '-path',
      './.git',
      '-prune',
      '-o',
      '-type',
      'f',
      '-print',
    ]);
    expect(stdout.toString().split('\n').sort()).toEqual(['', './.gitignore', './a.c', './deep/b.c']);
  });
});
