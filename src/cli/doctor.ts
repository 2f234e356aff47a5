import { styleText } from 'node:util';
import { Command } from 'commander';
import { type Check, inspect, thisHost } from '../../runtime/host.ts';
import { pasteable, repair, RepairError, repairSteps } from '../../runtime/host/repair.ts';
import type { Host } from '../../runtime/host/requirement.ts';
import { loadConfig } from '../config.ts';
import { exitCode } from './exit.ts';

interface Options {
  readonly fix?: true;
  readonly json?: true;
  readonly untrusted?: true;
}

/** Whether the machine will do, and the ids of the checks that say no. */
interface Verdict {
  readonly fit: boolean;
  readonly because: readonly string[];
}

/** `cofferdam doctor`: what this machine lacks and what mends it. */
export function command(): Command {
  return new Command('doctor')
    .description('Tells what this machine lacks to run builds, and the commands that mend it.')
    .option('--fix', 'install and set what can be (packages, settings); shows each command that it runs')
    .option('--untrusted', 'fail unless the machine is fit for builds of strangers')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExit codes: 0 fit to run builds (--untrusted: of strangers), 1 not.')
    .action(doctor);
}

async function doctor(options: Options): Promise<void> {
  const host = thisHost(loadConfig().dataDir);
  const checks = options.fix
    ? await repair(host, ['builds', 'untrusted'], async (step, work) => {
        process.stderr.write(`+ ${pasteable(host, step)}\n`);
        // One step that fails must not keep the others from being taken; the list below tells what is left.
        await work().catch((error: unknown) => {
          if (!(error instanceof RepairError)) throw error;
          process.stderr.write(`${error.message}\n`);
        });
      })
    : await inspect(host, ['builds', 'untrusted']);
  const builds = verdict(checks.filter((check) => check.neededFor === 'builds'));
  const untrusted = verdict(checks);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ checks, builds, untrusted }, undefined, 2)}\n`
      : `${report(host, checks)}\n${conclusion('run builds', builds)}${conclusion('run untrusted builds', untrusted)}`,
  );
  process.exitCode = (options.untrusted ? untrusted : builds).fit ? exitCode.passed : exitCode.failed;
}

function verdict(checks: readonly Check[]): Verdict {
  const because = checks.filter((check) => check.status === 'missing').map((check) => check.id);
  return { fit: because.length === 0, because };
}

const marks = {
  ok: { sign: '✓', colour: 'green' },
  warn: { sign: '!', colour: 'yellow' },
  missing: { sign: '✗', colour: 'red' },
} as const;

function report(host: Host, checks: readonly Check[]): string {
  const width = Math.max(...checks.map((check) => check.id.length));
  const indent = ' '.repeat(width + 6);
  let text = '';
  for (const check of checks) {
    const { sign, colour } = marks[check.status];
    const line = check.status === 'ok' ? check.detail : `${check.detail} (${check.purpose})`;
    text += `  ${coloured(colour, sign)} ${check.id.padEnd(width)}  ${line}\n`;
    const remedy = mend(host, check);
    if (remedy) text += `${indent}${coloured('dim', '→')} ${remedy}\n`;
  }
  return text;
}

function mend(host: Host, check: Check): string | undefined {
  if (check.status === 'ok' || !check.remedy) return undefined;
  if (check.remedy.kind === 'advice') return check.remedy.text;
  const step = repairSteps([check])[0];
  return step && pasteable(host, step);
}

function conclusion(what: string, { fit, because }: Verdict): string {
  if (fit) return `${coloured('green', '✓')} This machine can ${what}.\n`;
  return `${coloured('red', '✗')} This machine should not ${what}: ${because.join(', ')}.\n`;
}

function coloured(style: 'green' | 'yellow' | 'red' | 'dim', text: string): string {
  return styleText(style, text, { stream: process.stdout, validateStream: true });
}
