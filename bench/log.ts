import { createBuildLog } from '../workers/log.ts';
import { limitsOn, openBox, runIn } from './cofferdam.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';

const MiB = 1024 ** 2;
const capBytes = 64 * MiB;

/** Two writers at full speed: blocks without a newline, and lines. */
const writers = {
  'NUL bytes': (bytes: number) => `head -c ${bytes} /dev/zero`,
  'lines of 100 bytes': (bytes: number) => `yes "$(printf %099d 0)" | head -c ${bytes}`,
} as const;

interface Pumped {
  readonly megabytesPerSecond: number;
  /** Growth of this process from where the cap was passed to the end. */
  readonly grownMiB: number;
}

/** One build that writes as fast as it can into the log of a build, most of it beyond the cap. */
export async function log(site: Site): Promise<Row[]> {
  const bytes = Math.max(4, Math.round(site.runs * 0.64)) * capBytes;
  const rounds = Math.max(3, Math.round(site.runs / 20));
  const kinds = Object.entries(writers);
  const results = await takeTurns(
    site.stop,
    rounds,
    kinds.map(
      ([, script]) =>
        () =>
          pump(site, script(bytes), bytes),
    ),
  );
  return kinds.flatMap(([kind], i): Row[] => {
    const pumped = results[i] ?? [];
    return [
      {
        what: `${kind} (${bytes / MiB} MiB)`,
        unit: 'MB/s',
        better: 'more',
        samples: pumped.map(({ megabytesPerSecond }) => megabytesPerSecond),
        target: 300,
      },
      {
        what: `${kind}, memory growth beyond the cap`,
        unit: 'MiB',
        better: 'less',
        samples: pumped.map(({ grownMiB }) => grownMiB),
      },
    ];
  });
}

async function pump({ driver, image }: Site, script: string, bytes: number): Promise<Pumped> {
  const nothing = () => {};
  const buildLog = createBuildLog(capBytes, { chunk: nothing, cutBegins: nothing, cutEnds: nothing });
  const { sandbox, container } = openBox(driver, image, limitsOn.tmpfs);
  let seen = 0;
  let atCap = 0;
  let most = 0;
  let sampledAt = 0;
  try {
    await runIn(container, ['true'], nothing);
    const begun = performance.now();
    await runIn(container, ['sh', '-c', script], (chunk) => {
      seen += chunk.length;
      if (seen - sampledAt > capBytes) {
        sampledAt = seen;
        const rss = process.memoryUsage.rss();
        if (seen >= 2 * capBytes && atCap === 0) atCap = rss;
        most = Math.max(most, rss);
      }
      return buildLog.write('log', chunk);
    });
    await buildLog.finish();
    const seconds = (performance.now() - begun) / 1000;
    if (buildLog.totals.bytes !== bytes)
      throw new Error(`${buildLog.totals.bytes} of ${bytes} bytes arrived`);
    return { megabytesPerSecond: bytes / 1e6 / seconds, grownMiB: (most - atCap) / MiB };
  } finally {
    await sandbox.destroy();
  }
}
