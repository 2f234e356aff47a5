import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { imageStore } from '../../../runtime/images/store.ts';
import { writeLayout } from './image-builder.ts';
import { directory, type Entry, file, tar } from './tar-builder.ts';
import { scratch, storeOptions } from './unpacking.ts';

/** What the kernel shows of the layers, bottom first: every path with the size of files; modes with `stat`. */
async function merged(
  layers: readonly string[],
  look = "find . -mindepth 1 -printf '%P%y\\n' | sort",
): Promise<string[]> {
  // Short names for the layers: mount(2) takes one page of options. One directory alone is no overlay, so an empty
  // one goes below.
  const script = `look=$1; shift
    mount -t tmpfs tmpfs /var; cd /var; mkdir 0; lower=0
    for layer; do n=$((\${n-0} + 1)); ln -s "$layer" $n; lower=$n:$lower; done
    mount -t overlay -o "lowerdir=$lower" overlay /mnt; cd /mnt; eval "$look"`;
  const args = ['--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', look, ...layers];
  return (await run({ file: 'unshare', args })).stdout.toString().trim().split('\n').filter(Boolean);
}

async function imported(dir: string, layers: readonly (readonly Entry[])[]): Promise<readonly string[]> {
  const store = imageStore(join(dir, 'data'), storeOptions);
  writeLayout(join(dir, 'layout'), { layers: layers.map(tar) });
  return (await store.importImage('x', join(dir, 'layout'))).root.layers;
}

const base = [directory('d'), file('d/a'), file('d/b'), directory('d/sub'), file('d/sub/c'), file('top')];

describe('what an image deletes', () => {
  it.each<[string, readonly (readonly Entry[])[], readonly string[]]>([
    ['a file', [base, [directory('d'), file('d/.wh.a')]], ['d/bf', 'd/sub/cf', 'd/subd', 'dd', 'topf']],
    ['a directory', [base, [file('.wh.d')]], ['topf']],
    ['a file of the root', [base, [file('.wh.top')]], ['d/af', 'd/bf', 'd/sub/cf', 'd/subd', 'dd']],
    [
      'what was never there',
      [base, [file('.wh.other')]],
      ['d/af', 'd/bf', 'd/sub/cf', 'd/subd', 'dd', 'topf'],
    ],
    [
      'a file, replaced (whiteout first)',
      [base, [file('.wh.top'), file('top', 'new')]],
      ['d/af', 'd/bf', 'd/sub/cf', 'd/subd', 'dd', 'topf'],
    ],
    ['a directory, replaced by a file', [base, [file('.wh.d'), file('d')]], ['df', 'topf']],
    [
      'a directory, made anew (whiteout first)',
      [base, [file('.wh.d'), directory('d'), file('d/new')]],
      ['d/newf', 'dd', 'topf'],
    ],
    [
      'a directory, made anew (whiteout last)',
      [base, [directory('d'), file('d/new'), file('.wh.d')]],
      ['d/newf', 'dd', 'topf'],
    ],
    [
      'all in a directory (mark first)',
      [base, [directory('d'), file('d/.wh..wh..opq'), file('d/new')]],
      ['d/newf', 'dd', 'topf'],
    ],
    [
      'all in a directory (mark last)',
      [base, [file('d/new'), file('d/.wh..wh..opq')]],
      ['d/newf', 'dd', 'topf'],
    ],
    ['all in a subdirectory', [base, [file('d/sub/.wh..wh..opq')]], ['d/af', 'd/bf', 'd/subd', 'dd', 'topf']],
    ['everything', [base, [file('.wh..wh..opq'), file('new')]], ['newf']],
    ['everything, and layers follow', [base, [file('.wh..wh..opq')], [file('new')]], ['newf']],
    [
      'what a layer between brought',
      [base, [file('d/x')], [file('.wh.d')], [file('d/y')]],
      ['d/yf', 'dd', 'topf'],
    ],
    [
      'AUFS leftovers, which mean nothing',
      [base, [file('.wh..wh.plnk'), file('d/.wh..wh.aufs')]],
      ['d/af', 'd/bf', 'd/sub/cf', 'd/subd', 'dd', 'topf'],
    ],
    [
      'a device that is dropped here',
      [[file('dev')], [file('.wh.dev'), { path: 'dev', type: '3', device: [1, 3] }, file('x')]],
      ['xf'],
    ],
    [
      'the same layer twice',
      [base, [file('.wh.top')], base, [file('d/.wh.a')], base],
      ['d/af', 'd/bf', 'd/sub/cf', 'd/subd', 'dd', 'topf'],
    ],
  ])('is hidden: %s', async (_what, layers, seen) => {
    using dir = scratch();
    expect(await merged(await imported(dir.path, layers))).toEqual(seen);
  });

  it.each([['.wh.a'], ['.wh..wh..opq']])(
    'leaves mode, owner and time of the directory as stated: %s',
    async (name) => {
      using dir = scratch();
      const layer = [
        directory('d', { mode: 0o1770, uid: 5, gid: 6, mtime: 99 }),
        file('e/f'),
        file(`d/${name}`),
      ];
      const look = "stat -c '%a %u:%g %Y' d";
      expect(await merged(await imported(dir.path, [base, layer]), look)).toEqual(['1770 5:6 99']);
    },
  );

  it('can be spread over 200 layers', async () => {
    using dir = scratch();
    const layers = Array.from({ length: 200 }, (_, at) => [file(`f${at}`), file(`.wh.f${at - 1}`)]);
    const unpacked = await imported(dir.path, layers);
    expect(unpacked).toHaveLength(200);
    expect(await merged(unpacked)).toEqual(['f199f']);
  }, 60_000);
});
