import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ext4Limits, lab, overlays, shell, start, tell } from '../runtime/crun/lab.ts';
import { debian, layersDir, testData } from '../rootfs.ts';
import { compileSanitized, type SanitizedHolder } from './holder/sanitized.ts';

let directory: string;
let holder: SanitizedHolder;
beforeAll(async () => {
  directory = mkdtempSync(join(testData, 'sanitized-'));
  holder = await compileSanitized(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

test.each(overlays)(
  'a build runs in a sandbox of the sanitized holder, which finds nothing (%s)',
  async (overlay) => {
    await using place = lab({ holder: holder.file, overlay });
    const layer = mkdtempSync(join(layersDir, 'sanitized-'));
    mkdirSync(join(layer, 'etc'));
    writeFileSync(
      join(layer, 'etc/passwd'),
      `${'x'.repeat(9000)}\na\n:\nb:::\nann:x:1000:1001:::\n${'\0'.repeat(5000)}`,
    );
    mkdirSync(join(place.scratch, 'source/deep/er'), { recursive: true });
    writeFileSync(join(place.scratch, 'source/deep/er/file'), 'text');
    try {
      const sandbox = place.open({
        limits: ext4Limits,
        workspace: { sources: [join(place.scratch, 'source')], hidden: ['deep/hidden'] },
        volumes: [{ path: '/workspace/deep/volume', layers: [] }],
      });
      const box = start(sandbox, { ...debian, layers: [...debian.layers, layer] });
      const told = await tell(
        box,
        shell('id -u; cat deep/er/file /run/secrets/key', { secrets: { key: 'kept' } }),
      );
      expect(told).toEqual({ exit: { reason: 'exit', code: 0 }, output: '0\ntextkept' });
      expect((await tell(box, shell('id -u; id -g', { user: 'ann' }))).output).toBe('1000\n1001\n');
      expect((await tell(box, shell('id', { user: 'b:a' }))).exit.code).toBe(126);
      const many = Array.from({ length: 20 }, (_, i) =>
        tell(box, shell(`seq 1 ${i * 1000} | tail -1; exit ${i}`)),
      );
      expect((await Promise.all(many)).map(({ exit }) => exit.code)).toEqual(many.map((_, i) => i));
      const asleep = tell(box, shell('exec sleep 1000'));
      box.kill();
      expect((await asleep).exit.code).toBe(137);
      await sandbox.destroy();
      expect(holder.findings()).toEqual([]);
    } finally {
      rmSync(layer, { recursive: true });
    }
  },
);
