import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { styleText } from 'node:util';
import { Command } from 'commander';
import { makeDebian } from '../rootfs.ts';
import { census, expectSameCensus } from '../census.ts';
import { bombs, explode, isSlowed, type Slowdown, slowdown } from './bombs.ts';
import { createBench } from './bench.ts';
import { type Finding, isRed, lineOf } from './finding.ts';
import { mutate, type Mutation, unnoticed } from './mutation.ts';
import { createOrigins, type Origin, originNames } from './origins.ts';
import { callAll, type Difference, differences, namesOf, renderTable, tableFile } from './syscall-table.ts';

interface Options {
  readonly json?: true;
  readonly mutation: boolean;
  readonly writeSyscalls?: true;
}

const { json, mutation, writeSyscalls } = new Command('probes')
  .description(
    'Looks from within, and from outside, whether builds are kept in, and whether each control is needed.',
  )
  .option('--json', 'print one JSON document')
  .option('--no-mutation', 'leave out dropping each control in turn')
  .option('--write-syscalls', 'write the table of system calls anew, and do nothing else')
  .parse()
  .opts<Options>();

const say = (text: string) => void process.stderr.write(`${text}\n`);
const red = (text: string) => styleText('red', text, { stream: process.stderr, validateStream: true });

await makeDebian();
if (writeSyscalls) {
  await writeTable();
  process.exit();
}
const findings: (Finding & { readonly origin: Origin | 'direct' })[] = [];
const calls: Difference[] = [];
const mutations: Mutation[] = [];
{
  await using bench = await createBench();
  const outcome = await bench.probe();
  if (outcome.kind === 'refused') throw new Error(`no sandbox: ${outcome.message}`);
  for (const finding of outcome.findings) {
    findings.push({ ...finding, origin: 'direct' });
    say(isRed(finding) ? red(`red    ${lineOf(finding)}`) : `green  ${lineOf(finding)}`);
  }
  calls.push(...differences(await callAll(bench)));
  for (const { text } of calls) say(red(`system call ${text}`));
  say('');
  if (mutation) mutations.push(...(await mutate(bench, tell)));
}
const slowdowns: (Slowdown & { readonly bomb: string })[] = [];
const duds: string[] = [];
{
  await using bench = await createBench();
  await bench.script('true');
  const before = census(bench.dataDir);
  for (const bomb of bombs) {
    const { exit } = await explode(bench, bomb);
    if (exit.reason !== bomb.verdict) duds.push(`${bomb.name}: ${exit.reason}, expected ${bomb.verdict}`);
    const its = await slowdown(bench, bomb);
    slowdowns.push({ bomb: bomb.name, ...its });
    const line = `${bomb.id}-${bomb.name}  takes ${bomb.takes}: ${exit.reason}; neighbour ${its.quietMs} ms, beside it ${its.besideMs} ms`;
    say(isSlowed(its) || exit.reason !== bomb.verdict ? red(`red    ${line}`) : `green  ${line}`);
  }
  await expectSameCensus(bench.dataDir, before);
}
{
  await using origins = await createOrigins();
  for (const origin of originNames) {
    const { findings: its } = await origins.of[origin]();
    findings.push(...its.map((finding) => ({ ...finding, origin })));
    say(`${origin}: ${its.filter((finding) => !isRed(finding)).length} of ${its.length} probes green`);
    for (const finding of its.filter(isRed)) say(red(`red    ${lineOf(finding)}`));
  }
}
const reds = findings.filter(isRed);
const blind = unnoticed(mutations);
for (const control of blind) say(red(`no probe notices that a control is gone: ${control}`));
if (json)
  process.stdout.write(`${JSON.stringify({ findings, calls, mutations, slowdowns, duds }, undefined, 2)}\n`);
say(
  `${findings.length - reds.length} of ${findings.length} findings green; ${calls.length} system calls differ; ` +
    `${mutations.length - blind.length} of ${mutations.length} controls noticed or excused`,
);
process.exitCode =
  reds.length + calls.length + blind.length + duds.length + slowdowns.filter(isSlowed).length > 0 ? 1 : 0;

function tell({ control, noticed, excuse }: Mutation): void {
  const what = excuse ?? noticed.join('; ').slice(0, 120);
  say(
    `${noticed.length > 0 ? 'noticed' : excuse !== undefined ? 'excused' : 'BLIND  '}  ${control}: ${what}`,
  );
}

async function writeTable(): Promise<void> {
  await using bench = await createBench();
  const headers = globSync('/usr/include/{asm,*-linux-gnu/asm}/unistd{,_64}.h');
  const names = namesOf(headers.map((file) => readFileSync(file, 'utf8')).join('\n'));
  writeFileSync(tableFile, renderTable(await callAll(bench), names));
}
