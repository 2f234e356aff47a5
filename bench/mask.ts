import { randomBytes } from 'node:crypto';
import { createMask } from '../workers/log/mask.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';

const MiB = 1024 ** 2;
/** As much as comes at once from a busy build. */
const chunkBytes = 64 * 1024;
/** Of 64 characters each, as long tokens have. */
const secrets = Array.from({ length: 20 }, () => randomBytes(48).toString('base64'));

const compilerLines = Array.from(
  { length: 500 },
  (_, i) => `  CC      drivers/net/e1000_${i}.o: warning: unused variable 'x${i}' [-Wunused]\n`,
);

/** Common output; output in the letters of secrets; and what is nearly a secret all the time, the worst there is. */
const texts: Readonly<Record<string, Buffer>> = {
  'lines of a compiler': Buffer.alloc(MiB, compilerLines.join('')),
  base64: Buffer.from(randomBytes((MiB / 4) * 3).toString('base64')),
  'beginnings of secrets': Buffer.alloc(MiB, secrets.map((secret) => secret.slice(0, -1)).join('')),
};

/** Output of a build with 20 secrets through its mask, in chunks. */
export async function mask(site: Site): Promise<Row[]> {
  const { stream } = createMask(secrets);
  const mebibytes = Math.max(16, site.runs * 2);
  const pump = async (text: Buffer): Promise<number> => {
    const output = stream(() => {});
    const begun = performance.now();
    for (let round = 0; round < mebibytes; round++) {
      for (let at = 0; at < text.length; at += chunkBytes)
        await output.write(text.subarray(at, at + chunkBytes));
    }
    await output.end();
    return (mebibytes * text.length) / 1e3 / (performance.now() - begun);
  };
  const kinds = Object.entries(texts);
  const rounds = Math.max(3, Math.round(site.runs / 10));
  const results = await takeTurns(
    site.stop,
    rounds,
    kinds.map(
      ([, text]) =>
        () =>
          pump(text),
    ),
  );
  return kinds.map(([kind], i) => ({
    what: `${kind}, 20 secrets of 64 bytes`,
    unit: 'MB/s',
    better: 'more',
    samples: results[i] ?? [],
    ...(kind !== 'beginnings of secrets' && { target: 300 }),
  }));
}
