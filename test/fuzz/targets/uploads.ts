import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { startRedis } from '../../redis.ts';
import { file, tar } from '../../runtime/images/tar-builder.ts';
import { startService } from '../../src/api/service.ts';
import { mutateBytes, oneOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

interface Upload {
  readonly bytes: Buffer;
  readonly type: string;
  readonly coding: string | undefined;
  readonly way: 'upload' | 'build';
}

const sound = tar([
  file('.cofferdam.yaml', 'image: a\nsteps: [{ name: s, commands: [x] }]\n'),
  file('data', 'x'.repeat(3000)),
]);
const types = words(
  'application/x-tar application/gzip application/zstd application/x-gzip application/x-zstd text/plain x',
).concat('');

/** Trees that are sent to be built. */
export const uploads: Target<Upload> = {
  name: 'uploads',
  promise:
    'any body is kept as it is or refused with a problem that says why; nothing half is kept, nothing breaks',
  rounds: 250,
  outcomes: ['kept', 'refused'],
  cases: [],
  open: async () => {
    const redis = await startRedis();
    const service = await startService(await redis.connect(), { uploadMaxBytes: 2 ** 20 });
    const address = await service.listen();
    return {
      make: (random) => {
        const wrap = oneOf(random, [(plain: Buffer) => plain, gzipSync, zstdCompressSync]);
        const inner = random.chance(0.5) ? mutateBytes(random, sound) : sound;
        const bomb = random.chance(0.05) ? Buffer.alloc(2 ** 21) : inner;
        const bytes = random.chance(0.4) ? mutateBytes(random, wrap(bomb)) : wrap(bomb);
        const fitting = wrap === gzipSync ? types[1] : wrap === zstdCompressSync ? types[2] : types[0];
        return {
          bytes,
          type: random.chance(0.7) ? (fitting ?? '') : oneOf(random, types),
          coding: random.chance(0.2)
            ? oneOf(random, ['gzip', 'zstd', 'br', 'identity', '', 'gzip, gzip'])
            : undefined,
          way: oneOf(random, ['upload', 'build'] as const),
        };
      },
      check: async ({ bytes, type, coding, way }) => {
        const digest = createHash('sha256').update(bytes).digest('hex');
        const before = await Array.fromAsync(service.storage.list('uploads/'));
        const response = await fetch(
          address + (way === 'upload' ? `/v1/uploads/${digest}` : '/v1/builds?project=p'),
          {
            method: way === 'upload' ? 'PUT' : 'POST',
            headers: {
              authorization: service.bearer.submit,
              ...(type !== '' && { 'content-type': type }),
              ...(coding !== undefined && { 'content-encoding': coding }),
            },
            body: new Uint8Array(bytes),
          },
        );
        const { status, headers } = response;
        const body = await response.text();
        if (status >= 500) throw new Error(`${status}: ${body}\n${service.logged.at(-1)}`);
        const after = await Array.fromAsync(service.storage.list('uploads/'));
        if (status < 300) return 'kept';
        if (after.length > before.length) throw new Error('something of a refused body was kept');
        if (
          headers.get('content-type')?.startsWith('application/problem+json') !== true ||
          !/"detail":"\w/.test(body)
        )
          throw new Error(`no problem is told: ${body}`);
        return 'refused';
      },
      close: async () => {
        await service.stop();
        await redis.stop();
      },
    };
  },
};
