import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CommandError, run } from '../../../runtime/command.ts';
import { holderFile } from '../../../runtime/host/holder.ts';
import { containBy } from '../../../runtime/images/contain.ts';
import { imageStore } from '../../../runtime/images/store.ts';
import { layer } from './fixture.ts';
import { writeLayout } from './image-builder.ts';
import { census, scratch, storeOptions } from './unpacking.ts';

const contain = containBy(holderFile);
const sh = (script: string) => ({ file: 'sh', args: ['-c', script] });

it('a contained command starts in its directory and can write there', async () => {
  using dir = scratch();
  const inside = join(dir.path, 'inside');
  mkdirSync(inside);
  await run(contain(inside, sh('mkdir d && echo x > d/f')));
  expect(census(inside)).toEqual(['d', 'd/f']);
});

it.each([
  ['beside its directory', 'touch ../outside'],
  ['into a file that it finds', 'echo x > ../victim'],
  ['in /tmp', 'touch "$(mktemp)"'],
  ['behind a symlink', 'ln -s .. up && touch up/outside'],
  ['over the network', 'ip -o link show up | grep -q .'],
])('a contained command cannot reach what is %s', async (_what, script) => {
  using dir = scratch();
  const inside = join(dir.path, 'inside');
  mkdirSync(inside);
  writeFileSync(join(dir.path, 'victim'), '');
  await expect(run(contain(inside, sh(script)))).rejects.toThrow(CommandError);
  expect(existsSync(join(dir.path, 'outside'))).toBe(false);
});

it('images come in through it', async () => {
  using dir = scratch();
  writeLayout(join(dir.path, 'layout'), { layers: [layer('a')] });
  const store = imageStore(join(dir.path, 'data'), { ...storeOptions, contain });
  const image = await store.importImage('x', join(dir.path, 'layout'));
  expect(census(image.root.layers[0] ?? '')).toEqual(['etc', 'etc/a']);
});
