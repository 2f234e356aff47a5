import { Command, InvalidArgumentError } from 'commander';
import { exitCode } from '../../src/cli/exit.ts';
import { campaigns } from './catalog.ts';
import { watch } from './watch.ts';

interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly seed: number;
}

const names = [...campaigns.keys()];
const program = new Command('fuzz')
  .description('Hands hostile input to what reads it, and checks what it promises.')
  .argument('[targets...]', names.join(', '), listed)
  .option('--seconds <n>', 'how long, each', whole, 60)
  .option('--rounds <n>', 'how many inputs, each', whole, Number.MAX_SAFE_INTEGER)
  .option('--seed <n>', 'what decides; input n of a run has seed + n', whole, Date.now() % 1_000_000);

const { seconds, rounds, seed } = program.parse().opts<Options>();
const chosen = program.args.length > 0 ? program.args : names;
const say = (text: string) => void process.stdout.write(`${text}\n`);

for (const name of chosen) {
  const report = await watch(name, { seed, rounds, milliseconds: seconds * 1000 });
  if (report.kind === 'held') {
    const seen = Object.entries(report.seen).map(([outcome, count]) => `${count} ${outcome}`);
    say(`${name.padEnd(17)} held     ${report.rounds} inputs from seed ${seed}: ${seen.join(', ')}`);
    continue;
  }
  process.exitCode = exitCode.failed;
  say(`${name.padEnd(17)} BROKEN   ${campaigns.get(name)?.promise}`);
  say(`    ${report.reason.replaceAll('\n', '\n    ')}`);
  say(`    input:   ${report.input.slice(0, 2000)}`);
  say(`    smaller: ${report.smaller}`);
  if (report.seed === undefined) say('    it is one of the cases in the file of the target');
  else say(`    again:   npm run fuzz -- ${name} --rounds 1 --seed ${report.seed}`);
}

function whole(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError('a whole number');
  return number;
}

function listed(value: string, before: readonly string[] = []): string[] {
  if (!campaigns.has(value)) throw new InvalidArgumentError(`one of ${names.join(', ')}`);
  return [...before, value];
}
