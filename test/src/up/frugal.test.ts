import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { frugal } from '../../../src/up/frugal.ts';

test.each(['bin/cofferdam', 'deploy/cofferdam-serve.service'])('%s starts the API likewise', (file) => {
  const words = new Set(readFileSync(file, 'utf8').split(/[\s=]+(?=MALLOC)|\s+/));
  for (const setting of [...frugal.environment, ...frugal.nodeOptions]) expect(words).toContain(setting);
});
