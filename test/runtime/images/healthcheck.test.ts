import { join } from 'node:path';
import { expect, it } from 'vitest';
import { layer, newStore } from './fixture.ts';
import { writeLayout } from './image-builder.ts';
import { scratch } from './unpacking.ts';

const second = 1_000_000_000;
const check = { Test: ['CMD', 'check', ''], Timeout: 2.5 * second };

it.each([
  [{ Healthcheck: check }, { args: ['check', ''], timeoutMs: 2500 }],
  [{ Healthcheck: { Test: ['CMD', 'check'] } }, { args: ['check'], timeoutMs: 30_000 }],
  [{ Healthcheck: { Test: ['CMD', 'check'], Timeout: 1 } }, { args: ['check'], timeoutMs: 1 }],
  [
    { Healthcheck: { Test: ['CMD-SHELL', 'a && b'], Timeout: 0, Retries: 3 } },
    { args: ['/bin/sh', '-c', 'a && b'], timeoutMs: 30_000 },
  ],
  [
    { Healthcheck: { Test: ['CMD-SHELL', 'a'] }, Shell: ['bash', '-euc'] },
    { args: ['bash', '-euc', 'a'], timeoutMs: 30_000 },
  ],
  [{ Healthcheck: { Test: ['NONE'] } }, undefined],
  [{ Healthcheck: { Test: [] } }, undefined],
  [{ Healthcheck: { Test: ['CMD'] } }, undefined],
  [{ Healthcheck: { Interval: second } }, undefined],
  [{ Healthcheck: null }, undefined],
  [{}, undefined],
])('%j is how to see that it works: %j', async (config, expected) => {
  using dir = scratch();
  const { store } = newStore(dir.path);
  writeLayout(join(dir.path, 'layout'), { layers: [layer('x')], config });
  const image = await store.importImage('x', join(dir.path, 'layout'));
  expect(image.config.healthcheck).toEqual(expected);
});

it('is kept in exported images', async () => {
  using dir = scratch();
  const { store } = newStore(dir.path);
  writeLayout(join(dir.path, 'layout'), { layers: [layer('x')], config: { Healthcheck: check } });
  await store.importImage('x', join(dir.path, 'layout'));
  await store.exportImage('x', join(dir.path, 'x.tar'));
  const { config } = await store.importImage('y', join(dir.path, 'x.tar'));
  expect(config.healthcheck).toEqual({ args: ['check', ''], timeoutMs: 2500 });
});
