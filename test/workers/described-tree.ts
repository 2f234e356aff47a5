import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { describeSource } from '../../workers/source.ts';
import { type Directory, temporaryDirectory, useDirectory } from './directory.ts';
import { commitAll, gitIn } from './work-tree.ts';

/** A work tree for each test of a file, and what the worker makes of it. */
export function useDescribedTree() {
  const tree = useDirectory();
  let state: Directory;
  beforeAll(() => void (state = temporaryDirectory()));
  afterAll(() => state[Symbol.dispose]());
  const describeTree = (below = '') => describeSource(join(tree.path, below), state.path);
  return {
    tree,
    /** Where the worker keeps what is its own. */
    stateDir: () => state.path,
    git: (...args: readonly string[]) => gitIn(tree.path, ...args),
    commit: (...options: readonly string[]) => commitAll(tree.path, ...options),
    describeTree,
    /** Paths that the build does not see, sorted. */
    hidden: async (below = '') => [...(await describeTree(below)).hidden].sort(),
  };
}
