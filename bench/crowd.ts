import type { Sandbox } from '../runtime/sandbox.ts';
import { limitsOn, openBox, path } from './cofferdam.ts';
import { availableBytes, descendants, residentBytes } from './memory.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { inParallel } from './turns.ts';

const width = 8;
const KiB = 1024;

/** Whoever wants to stop the benchmark still wants all sandboxes gone. */
const never = new AbortController().signal;

/** Many sandboxes at once, each of which said something and sleeps. */
export async function crowd(site: Site): Promise<Row[]> {
  const size = site.runs * 10;
  const sandboxes: Sandbox[] = [];
  const sleeping: Promise<unknown>[] = [];
  const before = availableBytes();
  let startMs: number;
  let awake: number;
  let used: number;
  let resident: { readonly rss: number; readonly pss: number };
  let destroyMs: number;
  try {
    startMs = await elapsedMs(() =>
      inParallel(site.stop, width, size, async () => {
        const { sandbox, container } = openBox(site.driver, site.image, limitsOn.tmpfs);
        sandboxes.push(sandbox);
        const answered = Promise.withResolvers<void>();
        const command = {
          args: ['sh', '-c', 'echo up; exec sleep infinity'],
          env: { PATH: path },
          cwd: '/',
        } as const;
        const ended = container.run(command, () => answered.resolve());
        sleeping.push(ended.catch(() => {}));
        await Promise.race([answered.promise, ended]);
      }),
    );
    const processes = descendants();
    awake = await answering(sandboxes);
    used = before - availableBytes();
    resident = residentBytes(processes);
  } finally {
    destroyMs = await elapsedMs(() =>
      inParallel(never, width, sandboxes.length, async (i) => sandboxes[i]?.destroy()),
    );
    await Promise.all(sleeping);
  }
  const each = (what: string, bytes: number): Row => ({
    what,
    unit: 'KiB',
    better: 'less',
    samples: [bytes / size / KiB],
  });
  return [
    {
      what: `of ${size} sandboxes at once, these run`,
      unit: 'sandboxes',
      better: 'more',
      samples: [awake],
      target: size,
    },
    each('memory of each, by MemAvailable', used),
    each('memory of each, PSS of its processes', resident.pss),
    each('memory of each, RSS of its processes', resident.rss),
    { what: `to start all, ${width} at a time`, unit: 's', better: 'less', samples: [startMs / 1000] },
    { what: `to destroy all, ${width} at a time`, unit: 's', better: 'less', samples: [destroyMs / 1000] },
  ];
}

/** How many still answer, now that all are there. */
async function answering(sandboxes: readonly Sandbox[]): Promise<number> {
  const answers = await Promise.allSettled(sandboxes.map((sandbox) => sandbox.usage()));
  return answers.filter(({ status }) => status === 'fulfilled').length;
}

async function elapsedMs(task: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await task();
  return performance.now() - begun;
}
