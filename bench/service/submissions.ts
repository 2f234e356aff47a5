import type { Submission } from '../../src/api/submission.ts';

/** One line of YAML, no source. */
export function workflowOf(image: string, command: string): string {
  return JSON.stringify({
    image,
    resources: { cpus: 0.5, memory: '256MiB', disk: '64MiB' },
    steps: [{ name: 'step', commands: [command] }],
  });
}

export function submissionOf(project: string, workflow: string): Submission {
  return { project, source: { kind: 'none' }, workflow };
}
