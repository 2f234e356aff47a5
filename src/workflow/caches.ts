import { posix } from 'node:path';
import { globFault } from './artifacts.ts';
import type { Reading } from './finding.ts';
import type { PlanCache } from './plan.ts';
import type { WorkflowFile } from './schema.ts';

/** The workflow's caches. `workspace` is absolute. */
export function readCaches(
  caches: NonNullable<WorkflowFile['caches']>,
  workspace: string,
  { report }: Reading,
): PlanCache[] {
  const seen = { name: new Set<string>(), path: new Set<string>() };
  return caches.map((cache, index) => {
    const at = ['caches', String(index)];
    const path = posix.normalize(cache.path).replace(/(?<=.)\/+$/, '');
    const whole = posix.resolve(workspace, path);
    for (const [key, value] of [
      ['name', cache.name],
      ['path', whole],
    ] as const) {
      if (seen[key].has(value)) {
        const message = `another cache has this ${key}`;
        report({ path: [...at, key], part: 'value', message, hint: 'give each its own' });
      }
      seen[key].add(value);
    }
    const around = caches
      .slice(0, index)
      .find((other) => nested(whole, posix.resolve(workspace, other.path)));
    if (around) {
      const message = `'${cache.path}' and the cache ${around.name} lie in each other`;
      report({ path: [...at, 'path'], part: 'value', message, hint: 'make one cache of both' });
    }
    const fault = pathFault(cache.path, whole, workspace);
    if (fault) report({ path: [...at, 'path'], part: 'value', ...fault });
    const list = Array.isArray(cache.key);
    const key = [cache.key ?? []].flat().map((written, number) => {
      const glob = written.replace(/^(\.\/+)+/, '');
      const wrong = globFault(glob);
      if (wrong) report({ path: [...at, 'key', ...(list ? [String(number)] : [])], part: 'value', ...wrong });
      return glob;
    });
    return { name: cache.name, path, key };
  });
}

function nested(one: string, other: string): boolean {
  return one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

function pathFault(
  written: string,
  whole: string,
  workspace: string,
): { message: string; hint: string } | undefined {
  if (written.split('/').includes('..')) {
    return {
      message: `'${written}' has .. in it`,
      hint: 'write the path from the workspace, or from /, without it',
    };
  }
  if (`${workspace}/`.startsWith(whole === '/' ? '/' : `${whole}/`))
    return {
      message: `'${written}' holds the workspace itself`,
      hint: 'name a directory in it, or beside it',
    };
  if (/^\/(proc|sys|dev|run|etc)(\/|$)/.test(whole)) {
    return {
      message: `'${written}' is not a place for files`,
      hint: 'name one such as /root/.cache, or in the workspace',
    };
  }
  return undefined;
}
