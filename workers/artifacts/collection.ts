import type { Sandbox } from '../../runtime/sandbox.ts';
import type { ArtifactStore } from '../../src/artifacts.ts';
import type { ArtifactRecord, Outcome, StepRecord } from '../../src/build.ts';
import type { ArtifactPattern, Plan } from '../../src/workflow/plan.ts';
import { type ArtifactCaps, collectArtifacts } from '../artifacts.ts';
import type { BuildEvents } from '../events.ts';
import type { Mask } from '../log/mask.ts';

/** What a workflow left behind, and how. */
interface Ended {
  readonly outcome: Outcome;
  readonly steps: readonly StepRecord[];
}

/** The artifacts of a build: of one workflow after another, all together within the caps. */
export function artifactCollection(
  store: ArtifactStore,
  caps: ArtifactCaps,
  events: BuildEvents,
  mask: Mask,
) {
  let last: Promise<unknown> = Promise.resolve();
  const kept = new Map<string, string>();
  let bytes = 0;

  const collect = async (sandbox: Sandbox, plan: Plan, ended: Ended): Promise<ArtifactRecord[]> => {
    const left = { files: caps.files - kept.size, bytes: caps.bytes - bytes };
    const warn = (message: string) => events.warning(mask.text(message));
    const records = await collectArtifacts(sandbox, wanted(plan, ended), store, left, warn, (path) =>
      kept.get(path),
    );
    for (const record of records) {
      kept.set(record.path, plan.name);
      bytes += record.size;
      events.artifact(record);
    }
    return records;
  };
  return {
    /** Throws ArtifactError, ArtifactStoreError, SandboxError. */
    collect: (sandbox: Sandbox, plan: Plan, ended: Ended): Promise<ArtifactRecord[]> => {
      const collected = last.then(() => collect(sandbox, plan, ended));
      last = collected.catch(() => {});
      return collected;
    },
  };
}

/** What is kept after this end: a step's by how that step ended, if it ran. */
function wanted(plan: Plan, { outcome, steps }: Ended): ArtifactPattern[] {
  const after = (patterns: readonly ArtifactPattern[], passed: boolean) =>
    patterns.filter(({ when }) => when === 'always' || when === (passed ? 'success' : 'failure'));
  const ofSteps = plan.steps.flatMap(({ artifacts }, i) => {
    const status = steps[i]?.status;
    return status === undefined || status === 'skipped' ? [] : after(artifacts, status === 'passed');
  });
  return [...after(plan.artifacts, outcome.status === 'passed'), ...ofSteps];
}
