import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { ImageError } from '../../../runtime/images/image.ts';
import type { Image } from '../../../runtime/images/image.ts';
import { contents, newStore } from './fixture.ts';
import { writeLayout } from './image-builder.ts';
import { directory, type Entry, file, hardlink, symlink, tar } from './tar-builder.ts';
import { scratch } from './unpacking.ts';

const long = `long/${'n'.repeat(200)}`;
/** A capability of revision 2: cap_net_raw=ep. */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex').toString('latin1');

const layers: readonly (readonly Entry[])[] = [
  [
    directory('./', { mode: 0o755 }),
    directory('d'),
    file('d/gone', 'x'),
    file('d/kept', 'y'),
    directory('all'),
    file('all/hidden', 'x'),
    file('replaced', 'old'),
  ],
  [
    file('d/.wh.gone'),
    directory('all'),
    file('all/.wh..wh..opq'),
    file('all/new', 'new', { mode: 0o4755, uid: 33, gid: 65_535, mtime: 1234 }),
    hardlink('all/linked', 'all/new'),
    file('.wh.replaced'),
    symlink('link', '../../outside'),
    file(long, 'z'.repeat(513)),
    { path: 'fifo', type: '6', mode: 0o600 },
    file('ping', 'p', {
      pax: [
        ['SCHILY.xattr.security.capability', capability],
        ['SCHILY.xattr.user.note', 'hä\n'],
      ],
    }),
  ],
];

const dir = scratch();
const { store, data } = newStore(dir.path);
let image: Image;
beforeAll(async () => {
  const config = { Env: ['A=b'], WorkingDir: '/d', User: '7:8', Entrypoint: ['/e'], Cmd: ['c', ''] };
  writeLayout(join(dir.path, 'layout'), { layers: layers.map(tar), config });
  image = await store.importImage('first', join(dir.path, 'layout'));
});
afterAll(() => dir[Symbol.dispose]());

/** All that there is to know of the files of a layer as it lies in the store. */
function look(directories: readonly string[]): string[] {
  const script = `cd "$1"
    find . -printf '%P %y %m %U:%G %s %T@ %n %l\\n' | sort
    getfattr -Rhd -m '' -e hex . 2>/dev/null || python3 - <<'END'
import os
for top, _, names in sorted(os.walk('.')):
  for path in [top, *(os.path.join(top, name) for name in sorted(names))]:
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
      print(path, key, os.getxattr(path, key, follow_symlinks=False).hex())
END`;
  return directories.map((path) => execFileSync('sh', ['-euc', script, 'sh', path], { encoding: 'utf8' }));
}

describe('an exported image', () => {
  it('comes in again as it was, and goes out again as it came', async () => {
    const path = join(dir.path, 'first.tar');
    const digest = await store.exportImage('first', path);
    const again = await store.importImage('second', path);
    expect(again.digest).toBe(digest);
    expect(again.config).toEqual(image.config);
    expect(look(again.root.layers)).toEqual(look(image.root.layers));
    expect(look(image.root.layers).join()).toMatch(/d\/gone c .*trusted\.overlay\.opaque/s);
    expect(await store.exportImage('second', join(dir.path, 'second.tar'))).toBe(digest);
  });

  it('has whiteouts as other tools know them', async () => {
    const path = join(dir.path, 'x.tar');
    await store.exportImage('first', path);
    mkdirSync(join(dir.path, 'x'));
    await run({ file: 'tar', args: ['--extract', '--file', path, '--directory', join(dir.path, 'x')] });
    const [manifest] = JSON.parse(readFileSync(join(dir.path, 'x/manifest.json'), 'utf8'));
    const { stdout } = await run({
      file: 'tar',
      args: ['--list', '--file', join(dir.path, 'x', manifest.Layers[1])],
    });
    const names = stdout.toString().split('\n');
    expect(names.filter((name) => name.includes('.wh.')).sort()).toEqual([
      '.wh.replaced',
      'all/.wh..wh..opq',
      'd/.wh.gone',
    ]);
    expect(names).toContain(long);
    const layer = readFileSync(join(dir.path, 'x', manifest.Layers[1]), 'latin1');
    expect(layer).not.toContain('trusted.overlay');
    expect(layer).not.toContain('./all');
  });

  it.each(['oci-archive', 'docker-archive'])('is what skopeo knows as %s', async (kind) => {
    const path = join(dir.path, 'skopeo.tar');
    await store.exportImage('first', path);
    const { stdout } = await run({ file: 'skopeo', args: ['inspect', '--config', `${kind}:${path}`] });
    expect(JSON.parse(stdout.toString())).toMatchObject({
      os: 'linux',
      config: { Env: ['A=b'], WorkingDir: '/d', User: '7:8', Entrypoint: ['/e'], Cmd: ['c', ''] },
    });
    await run({ file: 'skopeo', args: ['copy', `${kind}:${path}`, `dir:${join(dir.path, kind)}`] });
  });

  it.each([
    ['first', ['first:latest']],
    ['team/first:1.0', ['team/first:1.0']],
    ['localhost:5000/first', ['localhost:5000/first:latest']],
    ['First', []],
  ])('%s is for Docker %j', async (name, tags) => {
    await store.importImage(name, join(dir.path, 'layout'));
    const path = join(dir.path, 'name.tar');
    await store.exportImage(name, path);
    const { stdout } = await run({
      file: 'tar',
      args: ['--extract', '--to-stdout', '--file', path, 'manifest.json'],
    });
    expect(JSON.parse(stdout.toString())).toMatchObject([{ RepoTags: tags }]);
  });

  it('takes the place of a file when it is complete, and else leaves everything as it was', async () => {
    const place = join(dir.path, 'place');
    mkdirSync(place);
    const path = join(place, 'x: y.tar');
    writeFileSync(path, 'before');
    const before = contents(data);
    await expect(store.exportImage('nosuch', path)).rejects.toThrow(
      /^image nosuch is not in the store; bring/,
    );
    expect(readFileSync(path, 'utf8')).toBe('before');
    await expect(store.exportImage('first', join(place, 'no/x.tar'))).rejects.toThrow(
      /^image first: .*no\/x\.tar cannot be written: .*No such file/,
    );
    await expect(store.exportImage('first', place)).rejects.toThrow(ImageError);
    expect(readdirSync(place)).toEqual(['x: y.tar']);
    await store.exportImage('first', path);
    expect(readdirSync(place)).toEqual(['x: y.tar']);
    expect(readFileSync(path).length).toBeGreaterThan(1000);
    expect(contents(data)).toEqual(before);
  });
});
