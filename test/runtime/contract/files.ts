import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SandboxError } from '../../../runtime/sandbox.ts';
import { type Bench, bytes, code, contents, limits, names, nextId, start, tell } from './bench.ts';

/** The source is read-only below the workspace; its files can be had once nothing runs. */
export function fileRules({ driver, open, scratch, source }: Bench): void {
  describe('the source', () => {
    test('is seen without what is hidden', async () => {
      await using sandbox = open();
      const box = start(sandbox);
      for (const path of ['secret/key', 'deep/hidden']) {
        expect((await tell(box, `cat ${path}`)).exit).toEqual(code(1));
      }
      box.kill();
      expect(names(await sandbox.list([''], 100))).toEqual(['bytes', 'deep/er/größer\n', 'empty']);
    });

    test('stays as it is on the host', async () => {
      const before = readdirSync(source(), { recursive: true, encoding: 'utf8' }).sort();
      const sandbox = open();
      await tell(start(sandbox), 'rm bytes; echo changed > empty; echo new > other');
      await sandbox.destroy();
      expect(readdirSync(source(), { recursive: true, encoding: 'utf8' }).sort()).toEqual(before);
      expect(readFileSync(join(source(), 'bytes')).equals(bytes)).toBe(true);
      expect(readFileSync(join(source(), 'empty'), 'utf8')).toBe('');
    });

    test('may be none', async () => {
      const sandbox = driver().open({
        id: nextId(),
        limits,
        workspace: { path: '/workspace', sources: [], hidden: [] },
      });
      const box = start(sandbox);
      expect((await tell(box, 'echo hello > note; cat note')).output).toBe('hello\n');
      box.kill();
      expect(names(await sandbox.list([''], 10))).toEqual(['note']);
      await sandbox.destroy();
    });

    test('may be a stack of layers, in which the upper ones cover and hide what is below', async () => {
      const stack = [0, 1, 2].map((n) => join(scratch(), `layer-${n}`));
      const [bottom = '', middle = '', top = ''] = stack;
      const write = (layer: string, files: Record<string, string>) => {
        for (const [path, content] of Object.entries(files)) {
          mkdirSync(dirname(join(layer, path)), { recursive: true });
          writeFileSync(join(layer, path), content);
        }
      };
      write(bottom, {
        same: 'old',
        'gone/a': '',
        'd/gone': '',
        'd/kept': '',
        'file/was-directory': '',
        dir: '',
      });
      write(middle, { same: 'new', file: 'now a file', 'dir/was-file': '', 'd/more': '', 'secret/x': '' });
      write(top, { 'd/hidden': '', 'deep/hidden': '', 'back/again': '' });
      mknod(join(middle, 'gone'), join(middle, 'd/gone'), join(middle, 'back'));
      await using sandbox = open(stack);
      const box = start(sandbox);
      expect((await tell(box, 'cat same; cat file')).output).toBe('newnow a file');
      box.kill();
      const seen = names(await sandbox.list([''], 100));
      expect(seen).toEqual(
        ['back/again', 'd/hidden', 'd/kept', 'd/more', 'dir/was-file', 'file', 'same'].sort(),
      );
    });

    test('of one sandbox does not show what another does with it', async () => {
      await using one = open();
      await using two = open();
      const [a, b] = [start(one), start(two)];
      await Promise.all([tell(a, 'echo one > note'), tell(b, 'rm bytes')]);
      expect((await tell(b, 'cat note')).exit).toEqual(code(1));
      expect((await tell(a, 'cat bytes')).exit).toEqual(code(0));
    });
  });

  describe('files', () => {
    test('are listed and read when the containers were killed', async () => {
      await using sandbox = open();
      const box = start(sandbox);
      await tell(box, 'echo hello > made; rm bytes');
      box.kill();
      const files = await sandbox.list([''], 100);
      expect(names(files)).toEqual(['deep/er/größer\n', 'empty', 'made']);
      expect(files.find(({ path }) => path === 'made')).toEqual({ path: 'made', size: 6, mode: 0o644 });
      expect(await contents(sandbox, files)).toEqual({
        'deep/er/größer\n': 'deep',
        empty: '',
        made: 'hello\n',
      });
    });

    test.each<[readonly string[], number, string[]]>([
      [['deep'], 10, ['deep/er/größer\n']],
      [['deep/er', 'empty'], 10, ['deep/er/größer\n', 'empty']],
      [['dee', 'no/such'], 10, []],
      [[], 10, []],
      [['empty'], 0, []],
    ])('below %j, at most %i, are %j', async (directories, limit, wanted) => {
      await using sandbox = open();
      expect(names(await sandbox.list(directories, limit))).toEqual(wanted);
    });

    test('are at most as many as asked for', async () => {
      await using sandbox = open();
      expect(await sandbox.list([''], 2)).toHaveLength(2);
    });

    test('cannot be listed while a container runs', async () => {
      await using sandbox = open();
      start(sandbox, 'busy');
      await expect(sandbox.list([''], 10)).rejects.toThrow(/busy/);
      await expect(
        sandbox.read([{ path: 'a', size: 0, mode: 0 }], { begin() {}, data() {}, end() {} }),
      ).rejects.toThrow(/busy/);
    });

    test.each([
      ['went away', 'rm bytes'],
      ['changed', 'echo other > bytes'],
    ])('one that %s since it was listed is an error', async (_, change) => {
      await using sandbox = open();
      const files = await sandbox.list(['bytes'], 10);
      const box = start(sandbox);
      await tell(box, change);
      box.kill();
      const error = await contents(sandbox, files).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SandboxError);
      expect(error).toMatchObject({ phase: 'collect', message: expect.stringContaining('bytes') });
      // The trouble is that file's, not the sandbox's.
      expect(await contents(sandbox, await sandbox.list(['empty'], 10))).toEqual({ empty: '' });
    });

    test('of a sink that throws reject read() with that error', async () => {
      await using sandbox = open();
      const full = new Error('no space for artifacts');
      const files = await sandbox.list([''], 10);
      const sink = { begin() {}, data: () => Promise.reject(full), end() {} };
      await expect(sandbox.read(files, sink)).rejects.toBe(full);
      expect(await contents(sandbox, files)).toHaveProperty('empty');
    });
  });
}

/** Whiteouts, as overlayfs has them. */
function mknod(...paths: readonly string[]): void {
  for (const path of paths) execFileSync('mknod', [path, 'c', '0', '0']);
}
