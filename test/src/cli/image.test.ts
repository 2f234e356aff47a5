import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { file, tar } from '../../runtime/images/tar-builder.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'cofferdam-image-'));
  writeFileSync(join(dir, 'rootfs.tar'), tar([file('etc/hostname', 'x')]));
});
afterAll(() => rmSync(dir, { recursive: true }));

interface Result {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function image(...args: readonly string[]): Promise<Result> {
  const main = join(import.meta.dirname, '../../../bin/main.ts');
  const env = { ...process.env, COFFERDAM_DATA: join(dir, 'data') };
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'image', ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}

describe('cofferdam image', () => {
  it('imports, lists, resolves, exports and removes', async () => {
    const imported = await image('import', 'base', join(dir, 'rootfs.tar'));
    expect(imported).toMatchObject({
      code: 0,
      stderr: `importing ${join(dir, 'rootfs.tar')} (rootfs-tar)\n`,
    });
    expect(imported.stdout).toMatch(/^base sha256:[0-9a-f]{64}\n$/);
    const listed = await image('ls');
    expect(listed.stdout).toMatch(
      /^IMAGE +DIGEST +SIZE +LAYERS +CREATED +USED\nbase +[0-9a-f]{12} +1 B +1 +\d{4}-/,
    );
    expect(JSON.parse((await image('ls', '--json')).stdout)).toMatchObject([
      { ref: 'base', bytes: 1, layers: 1 },
    ]);
    const pulled = await image('pull', 'base', '--json');
    expect(JSON.parse(pulled.stdout)).toMatchObject({ ref: 'base', layers: 1, config: { workingDir: '/' } });
    const out = join(dir, 'out.tar');
    const exported = await image('export', 'base', out);
    expect(exported).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\S+\/out\.tar sha256:[0-9a-f]{64}\n$/),
      stderr: 'packing layer 1 of 1\n',
    });
    const { digest } = JSON.parse((await image('import', 'again', out, '--json')).stdout);
    expect(exported.stdout).toBe(`${out} ${digest}\n`);
    await image('rm', 'again');
    expect(await image('rm', 'base')).toEqual({
      code: 0,
      stdout: 'removed 1 images and 1 layers\n',
      stderr: '',
    });
    expect(JSON.parse((await image('prune', '--all', '--json')).stdout)).toEqual({
      images: [],
      inUse: [],
      layers: 0,
    });
  });

  it.each([
    [['pull', 'Not A Name'], 2, 'is no image'],
    [['pull', 'example.org/x', '--insecure-registry'], 2, 'not on this machine'],
    [['pull'], 2, 'missing required argument'],
    [['prune', '--unused-for', 'long'], 2, "'long' is no time"],
    [['prune', '--all', '--unused-for', '1d'], 2, 'not both'],
    [['frobnicate'], 2, 'unknown command'],
    [[], 2, 'Usage: cofferdam image'],
    [['pull', '127.0.0.1:1/x'], 3, 'cannot be reached'],
    [['import', 'x', '/nosuch'], 3, 'no such file'],
    [['rm', 'nosuch'], 3, 'not in the store'],
  ])('%j exits with %i', async (args, code, message) => {
    const result = await image(...args);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).toContain(message);
  });
});
