import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../../../runtime/command.ts';
import { findPointers, parsePointer } from '../../../../workers/git/lfs/pointer.ts';
import { SourceError } from '../../../../workers/source.ts';
import { lfsObject } from '../../../git/lfs.ts';
import { cleanGit, type Entry, makeRepository } from '../../../git/repository.ts';

const oid = 'c0ffee'.padEnd(64, '0');
const version = 'version https://git-lfs.github.com/spec/v1\n';

describe('a pointer', () => {
  test.each([
    [`${version}oid sha256:${oid}\nsize 12\n`, { oid, size: 12 }],
    [`version https://hawser.github.com/spec/v1\noid sha256:${oid}\nsize 0\n`, { oid, size: 0 }],
    [`${version}oid sha256:${oid}\nsize 12`, { oid, size: 12 }],
    [`${version}oid sha256:${oid}\nsize -1\n`, undefined],
    [`${version}oid sha256:${oid}\nsize 1e9\n`, undefined],
    [`${version}oid sha256:${oid}\nsize ${'9'.repeat(16)}\n`, undefined],
    [`${version}oid sha256:../../${oid.slice(6)}\nsize 1\n`, undefined],
    [`${version}oid sha256:${oid.toUpperCase()}\nsize 1\n`, undefined],
    [`${version}oid md5:${oid}\nsize 1\n`, undefined],
    [`${version}ext-0-x sha256:${oid}\noid sha256:${oid}\nsize 1\n`, undefined],
    [`version https://example.org/spec/v1\noid sha256:${oid}\nsize 1\n`, undefined],
    [`\n${version}oid sha256:${oid}\nsize 12\n`, undefined],
    ['', undefined],
  ])('%j', (text, object) => expect(parsePointer(text)).toEqual(object));
});

describe('the pointers of a tree', () => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'cofferdam-lfs-'));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  async function pointersOf(name: string, files: Record<string, Entry>) {
    const repository = await makeRepository(root, name);
    const tree = `${await repository.commit(files)}^{tree}`;
    const index = join(root, `${name}.index`);
    await run({
      file: 'git',
      args: ['-C', repository.directory, 'read-tree', tree],
      env: { ...cleanGit, GIT_INDEX_FILE: index },
    });
    return await findPointers({ repository: repository.directory, tree, index });
  }

  test('are files that .gitattributes gives to the filter, wherever it is, and that have the form of one', async () => {
    const one = lfsObject('one');
    const found = await pointersOf('attributes.git', {
      '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n/tools/* filter=lfs\nplain.bin !filter\n',
      'a.bin': one.pointer,
      'ü b.bin': one.pointer,
      'tools/run': { executable: one.pointer },
      'sub/.gitattributes': 'data filter=lfs\n*.bin -filter\n',
      'sub/data': one.pointer,
      'sub/no.bin': one.pointer,
      'plain.bin': one.pointer,
      'raw.bin': 'committed as it is',
      'large.bin': one.pointer + 'x'.repeat(1024),
      'link.bin': { symlink: one.pointer },
      'no.txt': one.pointer,
    });
    const pointer = { oid: one.oid, size: 3, executable: false };
    expect(found).toEqual([
      { ...pointer, path: 'a.bin' },
      { ...pointer, path: 'sub/data' },
      { ...pointer, path: 'tools/run', executable: true },
      { ...pointer, path: Buffer.from('ü b.bin').toString('latin1') },
    ]);
  });

  test('are none where nothing says so', async () => {
    expect(await pointersOf('none.git', { 'a.bin': lfsObject('x').pointer })).toEqual([]);
  });

  test('that would fill the disk are refused before anything is fetched', async () => {
    const huge = `${version}oid sha256:${oid}\nsize 99999999999999\n`;
    const found = pointersOf('huge.git', { '.gitattributes': '* filter=lfs', x: huge });
    await expect(found).rejects.toThrow(SourceError);
    await expect(found).rejects.toThrow('1 files of Git LFS with 99999999999999 bytes');
  });
});
