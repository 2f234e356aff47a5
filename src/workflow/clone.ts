import type { Reading } from './finding.ts';
import type { WorkflowFile } from './schema.ts';

/** The clone step of Woodpecker, under its names. */
const known =
  /^((docker\.io|quay\.io|ghcr\.io|codeberg\.org)\/)?(woodpeckerci|woodpecker-plugins|plugins)\/(plugin-)?git(:|@|$)/;

/** What settings of that step come to here, where a worker checks the source out. */
const effects: Readonly<Record<string, (value: unknown) => string | undefined>> = {
  depth: () => 'the whole history is there, whatever it says',
  partial: () => 'all files and the whole history are there, whatever it says',
  tags: (value) => (value === false ? 'all tags are there, whatever it says' : undefined),
  recursive: (value) => (value === true ? submodules : undefined),
  submodule_override: () => submodules,
  lfs: (value) =>
    value === true
      ? 'files of Git LFS are fetched when the repository says so (`repo set --lfs fetch`)'
      : undefined,
};
const submodules =
  'submodules are checked out when the repository says so (`repo set --submodules recursive`)';

/** Tells of what `clone:` asks for and does not get. The worker checks the source out itself. */
export function readClone(clone: NonNullable<WorkflowFile['clone']>, reading: Reading): void {
  const steps = Array.isArray(clone)
    ? clone.map((step, index) => ({ step, path: ['clone', String(index)] }))
    : Object.entries(clone).map(([name, step]) => ({ step, path: ['clone', name] }));
  for (const [index, { step, path }] of steps.entries()) {
    if (index === 0) readCloneStep(step, path, reading);
    else {
      const message = 'a second clone step is refused: a workspace has one source';
      reading.report({ path, part: 'value', message, hint: 'run git in a step' });
    }
  }
}

function readCloneStep(step: object, path: readonly string[], { report, warn }: Reading): void {
  for (const [key, value] of Object.entries(step)) {
    if (key === 'name') continue;
    if (key === 'image') {
      if (typeof value === 'string' && known.test(value)) continue;
      const message = 'a clone image of its own is refused: the worker checks the source out itself';
      const hint = 'leave `clone:` out, or write `skip_clone: true` and clone in a step';
      report({ path: [...path, key], part: 'value', message, hint });
    } else if (key === 'settings' && typeof value === 'object' && value !== null) {
      for (const [setting, wanted] of Object.entries(value))
        tell(setting, wanted, [...path, key, setting], warn);
    } else tell(key, value, [...path, key], warn);
  }
}

function tell(setting: string, value: unknown, path: readonly string[], warn: Reading['warn']): void {
  const effect = Object.hasOwn(effects, setting) ? effects[setting] : () => 'it is not known here';
  const message = effect?.(value);
  if (message !== undefined) warn({ path, part: 'key', message: `${setting} has no effect: ${message}` });
}
