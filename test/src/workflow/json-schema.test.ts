import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { faultsOf, takesText } from '../../../src/workflow/json-schema.ts';
import { workflowSchema } from '../../../src/workflow/schema.ts';
import { everything, extended, oddities, replaced } from './mutations.ts';

const validate = new Ajv({
  allowUnionTypes: true,
  validateSchema: false,
  meta: false,
  inlineRefs: false,
}).compile(workflowSchema);

/** Values that a validator and we must agree on. */
function* values(): Generator {
  for (const oddity of oddities) yield* replaced(everything, oddity);
  for (const key of ['services', 'image', 'path', 'constructor', '', 'from_secret']) {
    for (const oddity of [null, 'x', [], {}, 5, Number.NaN]) yield* extended(everything, key, oddity);
  }
}

test('the same values pass as with a validator of JSON Schema', { timeout: 60_000 }, () => {
  let right = 0;
  let wrong = 0;
  let place = 0;
  for (const value of values()) {
    if (place++ % 3 !== 0) continue;
    const passes = faultsOf(workflowSchema, value).length === 0;
    if (passes !== validate(value)) {
      throw new Error(
        `${passes ? 'we take' : 'we refuse'} ${JSON.stringify(value)}; ${JSON.stringify(validate.errors)}`,
      );
    }
    if (passes) right++;
    else wrong++;
  }
  expect(right).toBeGreaterThan(300);
  expect(wrong).toBeGreaterThan(1500);
});

describe('text may stand', () => {
  test.each<[string, boolean]>([
    ['image', true],
    ['steps.0.image', true],
    ['steps.build.commands.0', true],
    ['steps.0.environment.A', true],
    ['steps.0.settings.a.b.c', true],
    ['steps.0.when.0.branch.include.0', true],
    ['steps.0.when.matrix.A', true],
    ['labels.platform', true],
    ['concurrency.group', true],
    ['parallel', false],
    ['concurrency', false],
    ['concurrency.limit', false],
    ['skip_clone', false],
    ['steps.0.detach', false],
    ['steps.0.when.path.on_empty', false],
    ['services.db.ready.tcp', false],
    ['services.db.ready.http', true],
    ['resources.cpus', false],
    ['no.such.thing', true],
  ])('at %s: %s', (path, expected) => expect(takesText(workflowSchema, path.split('.'))).toBe(expected));
});
