import { cgroupPlan, cgroupTree } from '../../runtime/crun/cgroup.ts';
import type { Bench } from './bench.ts';
import { type Control, controls } from './controls.ts';
import { excuseOf } from './excuses.ts';
import { isRed } from './finding.ts';
import type { OciConfig } from './oci.ts';
import { uses } from './uses.ts';

/** What dropping one control came to. */
export interface Mutation {
  readonly control: string;
  /** What went red, as `probe: what it got`; or that there was no sandbox without the control. */
  readonly noticed: readonly string[];
  /** Why nothing can notice it on this machine. */
  readonly excuse?: string;
}

/** The controls of this machine's sandboxes, enumerated from what a sandbox is started with. */
export async function defaultControls(bench: Bench): Promise<{ all: Control[]; config: OciConfig }> {
  let seen: OciConfig | undefined;
  await bench.script('true', { weakening: { config: (config) => (seen = config) } });
  if (!seen) throw new Error('the sandbox was started without a config');
  return { all: controls(seen, cgroupPlan(cgroupTree(), 'x', bench.spec().limits)), config: seen };
}

/** Drops each control in turn, one alone, and sees what the probes say. */
export async function mutate(bench: Bench, told: (mutation: Mutation) => void): Promise<Mutation[]> {
  const { all, config } = await defaultControls(bench);
  const limits = Object.fromEntries(config.process.rlimits.map(({ type, hard }) => [type, hard]));
  const mutations: Mutation[] = [];
  for (const control of all) {
    const noticed = await reds(bench, control);
    const excuse = noticed.length > 0 ? undefined : excuseOf(control.id, limits);
    const mutation = { control: control.id, noticed, ...(excuse !== undefined && { excuse }) };
    mutations.push(mutation);
    told(mutation);
  }
  return mutations;
}

/** Controls whose loss no probe noticed, without an excuse. */
export const unnoticed = (mutations: readonly Mutation[]): string[] =>
  mutations
    .filter(({ noticed, excuse }) => noticed.length === 0 && excuse === undefined)
    .map(({ control }) => control);

/** What is red without a control. */
export async function reds(bench: Bench, { noticed, without }: Control): Promise<string[]> {
  const weakening = typeof without === 'function' ? await without() : without;
  if (noticed === 'by use') {
    const got: string[] = [];
    // One after another: they measure.
    for (const use of uses) {
      const its = await use.run(bench, weakening);
      if (its !== use.expected) got.push(`${use.id}: ${its}`);
    }
    return got;
  }
  const outcome = await bench.probe(weakening);
  if (outcome.kind === 'refused') return [`does not start: ${outcome.message}`];
  return outcome.findings.filter(isRed).map(({ id, got }) => `${id}: ${got}`);
}
