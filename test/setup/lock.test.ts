import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from './clone.ts';

interface Entry {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

// npm itself finds this only where it meets an empty node_modules: in a fresh clone.
test('the lock file names the packages of all platforms, or npm ci refuses it (bin/node .ci/complete-lock.ts)', () => {
  const lock: { packages: Record<string, Entry> } = JSON.parse(
    readFileSync(join(checkout, 'package-lock.json'), 'utf8'),
  );
  const lacking = Object.values(lock.packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => lock.packages[`node_modules/${name}`] === undefined);
  expect(lacking).toEqual([]);
});
