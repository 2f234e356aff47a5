import type { WorkflowDraft } from './assemble.ts';
import { findCircle, reportUnknownNames } from './dependency.ts';
import type { Finding } from './finding.ts';
import type { Plan } from './plan.ts';

/** A workflow that is not in a build. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
}

/** The workflows of one file, before it is known which of them are in the build. */
interface FileDrafts {
  readonly name: string;
  readonly drafts: readonly WorkflowDraft[];
  readonly report: (finding: Finding) => void;
}

/** Reports dependencies on workflows that do not exist, and circles. */
export function reportDependencies(files: readonly FileDrafts[]): void {
  const names = files.map(({ name }) => name);
  const dependencies = new Map(
    files.map(({ name, drafts, report }) => [
      name,
      { report, list: drafts.flatMap(({ dependsOn }) => dependsOn) },
    ]),
  );
  for (const { list, report } of dependencies.values()) {
    reportUnknownNames('workflow', names, list, { report });
  }
  const circle = findCircle(names, (name) => dependencies.get(name)?.list.map((each) => each.name) ?? []);
  if (!circle) return;
  const [first = '', second] = circle;
  const { list = [], report } = dependencies.get(first) ?? {};
  const path = list.find(({ name }) => name === second)?.path ?? [];
  const message =
    circle.length === 2
      ? `workflow '${first}' waits for itself`
      : `workflows wait for each other: ${circle.join(' → ')}`;
  report?.({ path, part: 'value', message });
}

/**
 * The workflows that are in the build. One whose `when` does not hold is not, nor is one that waits for it unless that
 * is optional, as in Woodpecker. One without any step to run counts as passed: who waits for it waits for what
 * it would have waited for.
 */
export function selectWorkflows(drafts: readonly WorkflowDraft[]): {
  readonly workflows: readonly Plan[];
  readonly leftOut: readonly LeftOut[];
} {
  const why = new Map<WorkflowDraft, string>();
  for (const draft of drafts) {
    if (draft.plan.when.length === 0) why.set(draft, 'its `when` does not hold');
  }
  let present = drafts.filter((draft) => !why.has(draft));
  for (let before = -1; before !== present.length; ) {
    before = present.length;
    const files = new Set(present.map(({ plan }) => plan.file));
    for (const draft of present) {
      const missing = draft.dependsOn.find(({ name, optional }) => !optional && !files.has(name));
      if (missing) why.set(draft, `it waits for ${missing.name}, which is not in this build`);
    }
    present = present.filter((draft) => !why.has(draft));
  }
  const ofFile = Map.groupBy(present, ({ plan }) => plan.file);
  const resolved = new Map<WorkflowDraft, readonly string[]>();
  const waitsFor = (draft: WorkflowDraft): readonly string[] => {
    const known = resolved.get(draft);
    if (known) return known;
    const others = draft.dependsOn.flatMap(({ name }) => ofFile.get(name) ?? []);
    const names = others.flatMap((other) => (other.steps.length > 0 ? [other.plan.name] : waitsFor(other)));
    resolved.set(draft, [...new Set(names)]);
    return [...new Set(names)];
  };
  const workflows = present.flatMap((draft): Plan[] => {
    const [first, ...others] = draft.steps;
    if (!first) why.set(draft, 'none of its steps is for this build');
    return first ? [{ ...draft.plan, steps: [first, ...others], dependsOn: waitsFor(draft) }] : [];
  });
  return { workflows, leftOut: [...why].map(([{ plan }, reason]) => ({ name: plan.name, why: reason })) };
}
