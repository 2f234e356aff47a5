import type { Submission } from '../../src/api/submission.ts';
import type { Random } from '../random.ts';

/** A build that prints a pseudo-random stream, so that every byte of its log is known beforehand. */
export interface Job {
  readonly seed: number;
  readonly lines: number;
  /** Lines printed at once. */
  readonly burst: number;
  /** Between two bursts. */
  readonly pauseMs: number;
  readonly exitCode: number;
  /** Lines of 9 bytes in the artifact `out`; 0: it has none. */
  readonly artifactLines: number;
  /** Size of its disk: small ones are in memory, large ones on a loop device. */
  readonly disk: '64MiB' | '1GiB';
  readonly project: string;
}

/** Its length varies: nothing to do, seconds of ticking, megabytes at once. */
export function randomJob(random: Random): Job {
  const shape = random.pick(['instant', 'ticking', 'ticking', 'long', 'loud']);
  return {
    ...tickingJob(random, shape === 'long' ? random.between(6, 12) : random.between(1, 4)),
    ...(shape === 'instant' && { lines: random.between(0, 20), pauseMs: 0 }),
    ...(shape === 'loud' && { lines: 200_000, burst: 5_000, pauseMs: 20 }),
    exitCode: random.chance(0.3) ? random.between(1, 100) : 0,
    artifactLines: random.chance(0.4) ? random.between(1, 200_000) : 0,
    disk: random.chance(0.2) ? '1GiB' : '64MiB',
  };
}

/** Prints for some seconds, a few lines each 100 ms. */
export function tickingJob(random: Random, seconds: number): Job {
  return {
    seed: random.between(1, 2 ** 31 - 1),
    lines: seconds * 50,
    burst: 5,
    pauseMs: 100,
    exitCode: 0,
    artifactLines: 0,
    disk: '64MiB',
    project: `project-${random.between(1, 3)}`,
  };
}

export function submissionOf(job: Job): Submission {
  const workflow = {
    image: 'bootstrap:bookworm',
    resources: { cpus: 0.5, memory: '256MiB', disk: job.disk },
    steps: [{ name: 'stream', commands: [commandOf(job)] }],
    ...(job.artifactLines > 0 && { artifacts: ['out'] }),
  };
  // JSON is YAML.
  return { project: job.project, source: { kind: 'none' }, workflow: JSON.stringify(workflow) };
}

/** minbase has Perl. */
function commandOf({ seed, lines, burst, pauseMs, exitCode, artifactLines }: Job): string {
  const program = [
    `$|=1;$x=${seed};$b="";`,
    `for $i (1..${lines}){$x=($x*1103515245+12345)&2147483647;$b.=sprintf("%08x %d\\n",$x,$i);`,
    `if($i%${burst}==0){print $b;$b="";select(undef,undef,undef,${pauseMs / 1000})}}print $b;`,
    artifactLines > 0 ? `open F,">out";print F sprintf("%08x\\n",$x)x${artifactLines};close F;` : '',
    `exit ${exitCode}`,
  ];
  return `perl -e '${program.join('')}'`;
}

export interface Expectation {
  readonly status: 'passed' | 'failed';
  readonly exitCode: number;
  readonly log: Buffer;
  readonly artifact: Buffer | undefined;
}

/** What must come out. */
export function expectationOf(job: Job): Expectation {
  const parts = [`+ ${commandOf(job)}\n`];
  let x = job.seed;
  for (let i = 1; i <= job.lines; i++) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    parts.push(`${x.toString(16).padStart(8, '0')} ${i}\n`);
  }
  const passes = job.exitCode === 0;
  return {
    status: passes ? 'passed' : 'failed',
    exitCode: job.exitCode,
    log: Buffer.from(parts.join('')),
    artifact:
      passes && job.artifactLines > 0
        ? Buffer.from(`${x.toString(16).padStart(8, '0')}\n`.repeat(job.artifactLines))
        : undefined,
  };
}
