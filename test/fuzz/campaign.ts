import { inspect } from 'node:util';
import { createRandom } from '../random.ts';
import { smaller } from './smaller.ts';
import type { Budget, Report, Session, Target } from './target.ts';

/** Processor time that one input may take, in microseconds: no promise is worth much that takes for ever. */
const mostProcessorTime = 2_000_000;

/** How many smaller inputs are tried at most, once one is found that breaks the promise. */
const mostAttempts = 400;

/** Tries the target's cases, and then one input after another. `begin` is told the number of each round. */
export async function runCampaign<Input>(
  target: Target<Input>,
  { seed, rounds, milliseconds }: Budget,
  begin: (round: number) => void,
): Promise<Report> {
  const session = await target.open();
  const seen: Record<string, number> = {};
  const broken = async (input: Input, at: number | undefined, reason: string): Promise<Report> => {
    const least = await reduce(session, input);
    return { kind: 'broken', seed: at, reason, input: shown(input), smaller: shown(least) };
  };
  try {
    for (const input of target.cases) {
      const { reason } = await attempt(session, input);
      if (reason !== undefined) return await broken(input, undefined, reason);
    }
    const until = performance.now() + milliseconds;
    let round = 0;
    for (; round < rounds && performance.now() < until; round++) {
      begin(round);
      const input = session.make(createRandom(seed + round));
      const { outcome, reason } = await attempt(session, input);
      if (reason !== undefined) return await broken(input, seed + round, reason);
      seen[outcome] = (seen[outcome] ?? 0) + 1;
    }
    return { kind: 'held', rounds: round, seen };
  } finally {
    await session.close?.();
  }
}

async function attempt<Input>(
  session: Session<Input>,
  input: Input,
): Promise<{ readonly outcome: string; readonly reason: string | undefined }> {
  const before = process.threadCpuUsage();
  try {
    const outcome = await session.check(input);
    const { user, system } = process.threadCpuUsage(before);
    const slow = user + system > mostProcessorTime;
    return { outcome, reason: slow ? `it took ${(user + system) / 1e6} s of processor time` : undefined };
  } catch (error) {
    return { outcome: '', reason: error instanceof Error ? inspect(error) : String(error) };
  }
}

/** Leaves out parts of an input as long as what is left breaks the promise too. */
async function reduce<Input>(session: Session<Input>, input: Input): Promise<Input> {
  let least = input;
  let attempts = 0;
  for (let found: boolean = true; found; ) {
    found = false;
    for (const part of smaller(least)) {
      if (++attempts > mostAttempts) return least;
      if ((await attempt(session, part)).reason === undefined) continue;
      least = part;
      found = true;
      break;
    }
  }
  return least;
}

/** Bytes as latin1 text: what can be put into a test as it is. */
function shown(input: unknown): string {
  const replace = (_key: string, value: unknown): unknown =>
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === 'Buffer' &&
    'data' in value
      ? Buffer.from(Array.isArray(value.data) ? value.data : []).toString('latin1')
      : value;
  return JSON.stringify(input, replace) ?? inspect(input);
}
