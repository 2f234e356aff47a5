import { posix } from 'node:path';
import type { Reading } from './finding.ts';
import { planDefaults } from './plan.ts';
import type { WorkflowFile } from './schema.ts';

/** Where the source is in containers: absolute, normalised, not `/`. */
export function readWorkspace(workspace: WorkflowFile['workspace'], { report, warn }: Reading): string {
  if (workspace === undefined) return planDefaults.workspace;
  const { base = planDefaults.workspace, path = '' } = workspace;
  if (!base.startsWith('/')) {
    report({
      path: ['workspace', 'base'],
      part: 'value',
      message: `workspace.base must be absolute, not '${base}'`,
    });
  }
  if (path.startsWith('/')) {
    const message = `workspace.path must be relative to workspace.base, not '${path}'`;
    report({ path: ['workspace', 'path'], part: 'value', message });
  }
  const whole = posix.join('/', base, path).replace(/(?<=.)\/+$/, '');
  if (/^\/((proc|sys|dev|run)(\/.*)?)?$/.test(whole)) {
    report({ path: ['workspace'], part: 'value', message: `the workspace cannot be at ${whole}` });
  }
  if (path !== '') {
    const message = `only ${whole} is shared by the steps, not all of ${base}`;
    warn({ path: ['workspace', 'path'], part: 'value', message, hint: 'for more, see `caches:`' });
  }
  return whole;
}
