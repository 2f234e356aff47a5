import type { Trigger } from '../trigger.ts';

/** What made a build, in a few words: `push to main by ada`. */
export function triggerInWords(trigger: Trigger): string {
  return `${happening(trigger)}${trigger.actor === undefined ? '' : ` by ${trigger.actor}`}`;
}

function happening(trigger: Trigger): string {
  switch (trigger.kind) {
    case 'manual':
      return 'submitted';
    case 'push':
      return `push to ${trigger.branch}`;
    case 'tag':
      return `tag ${trigger.tag}`;
    case 'cron':
      return `cron ${trigger.name} on ${trigger.branch}`;
    case 'pull_request':
      break;
  }
  const { number, from, sourceBranch, targetBranch } = trigger.pullRequest;
  const source = from.kind === 'fork' ? `${sourceBranch} of a fork` : sourceBranch;
  return `pull request ${number}, ${source} into ${targetBranch}`;
}
