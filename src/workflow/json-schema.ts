/**
 * The part of JSON Schema (draft-07) that the workflow's schema is written in. Titles and examples are for messages.
 * Where types differ, the branch of `anyOf` for a value's own type says what is wrong with it.
 */
export interface Schema {
  readonly $ref?: string;
  readonly title?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | Schema;
  readonly propertyNames?: Schema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

/** Something that a schema does not allow. `schema` is the part that says so. */
export type Fault = { readonly path: readonly string[]; readonly value: unknown; readonly schema: Schema } & (
  | { readonly kind: 'other' | 'empty' }
  | { readonly kind: 'too-many' | 'too-long' | 'too-small' | 'too-large'; readonly limit: number }
  /** The key is the last part of the path. */
  | { readonly kind: 'unknown-key' | 'bad-key' }
  | { readonly kind: 'missing-key'; readonly key: string }
);

/**
 * All faults of a value, in the order of its keys. The schema is read as it stands: to compile it, as validators do,
 * takes longer than checking a thousand files, and a command reads one. The same values pass as with any validator.
 */
export function faultsOf(root: Schema, value: unknown): Fault[] {
  const faults: Fault[] = [];
  check(value, root, { root, path: [], faults });
  return faults;
}

/** Whether text may stand at a path, as far as the schema says anything of that path. */
export function takesText(root: Schema, path: readonly string[]): boolean {
  let schemas: readonly Schema[] = [root];
  for (const key of path) {
    schemas = schemas
      .flatMap((schema) => branchesOf(schema, root))
      .flatMap(({ properties = {}, additionalProperties, items }) => {
        const own = Object.hasOwn(properties, key) ? properties[key] : undefined;
        return own ?? (additionalProperties || (/^\d+$/.test(key) ? items : undefined)) ?? [];
      });
  }
  const ends = schemas.flatMap((schema) => branchesOf(schema, root));
  return ends.length === 0 || ends.some(({ type }) => type === undefined || type === 'string');
}

function branchesOf(written: Schema, root: Schema): readonly Schema[] {
  const schema = resolved(written, root);
  return schema.anyOf ? schema.anyOf.flatMap((branch) => branchesOf(branch, root)) : [schema];
}

interface Check {
  readonly root: Schema;
  readonly path: string[];
  readonly faults: Fault[];
}

function check(value: unknown, written: Schema, to: Check): void {
  const schema = resolved(written, to.root);
  if (schema.anyOf) checkUnion(value, schema, schema.anyOf, to);
  else if (schema.type !== undefined && !isOf(schema.type, value))
    fault(to, value, schema, { kind: 'other' });
  else if (schema.enum && !schema.enum.includes(String(value))) fault(to, value, schema, { kind: 'other' });
  else if (typeof value === 'string') checkText(value, schema, to);
  else if (typeof value === 'number') checkNumber(value, schema, to);
  else if (Array.isArray(value)) checkList(value, schema, to);
  else if (isMap(value)) checkMap(value, schema, to);
}

function resolved(schema: Schema, root: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const found = root.definitions?.[schema.$ref.replace('#/definitions/', '')];
  if (!found) throw new TypeError(`the schema has no ${schema.$ref}`);
  return found;
}

type More<Kind> = Kind extends Fault ? Omit<Kind, 'path' | 'value' | 'schema'> : never;

function fault({ path, faults }: Check, value: unknown, schema: Schema, more: More<Fault>): void {
  faults.push({ path: [...path], value, schema, ...more });
}

function checkUnion(value: unknown, schema: Schema, branches: readonly Schema[], to: Check): void {
  const fits = (branch: Schema) => takes(resolved(branch, to.root), value, to.root);
  const first = branches.find(fits);
  if (!first) fault(to, value, schema, { kind: 'other' });
  else if (branches.findLast(fits) === first) check(value, first, to);
  else {
    const fitting = branches.filter(fits);
    const tries = fitting.map((branch) => {
      const faults: Fault[] = [];
      check(value, branch, { ...to, faults });
      return faults;
    });
    if (tries.every(({ length }) => length > 0)) to.faults.push(...(tries[0] ?? []));
  }
}

function takes({ type, anyOf }: Schema, value: unknown, root: Schema): boolean {
  if (anyOf) return anyOf.some((branch) => takes(resolved(branch, root), value, root));
  return type === undefined || isOf(type, value);
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'number') return Number.isFinite(value);
  if (type === 'null') return value === null;
  return typeof value === type;
}

function checkText(value: string, schema: Schema, to: Check): void {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema;
  // Characters are counted only where their number can matter.
  if (value.length > maxLength && Array.from(value).length > maxLength) {
    fault(to, value, schema, { kind: 'too-long', limit: maxLength });
  } else if (value.length < minLength || (pattern !== undefined && !expressionOf(pattern).test(value))) {
    fault(to, value, schema, { kind: 'other' });
  }
}

const expressions = new Map<string, RegExp>();

function expressionOf(pattern: string): RegExp {
  const known = expressions.get(pattern);
  if (known) return known;
  const expression = new RegExp(pattern, 'u');
  expressions.set(pattern, expression);
  return expression;
}

function checkNumber(value: number, schema: Schema, to: Check): void {
  const { minimum, maximum } = schema;
  if (minimum !== undefined && value < minimum)
    fault(to, value, schema, { kind: 'too-small', limit: minimum });
  if (maximum !== undefined && value > maximum)
    fault(to, value, schema, { kind: 'too-large', limit: maximum });
}

function checkList(value: readonly unknown[], schema: Schema, to: Check): void {
  checkCount(value.length, value, schema.minItems, schema.maxItems, schema, to);
  if (!schema.items) return;
  for (const [index, item] of value.entries()) {
    to.path.push(String(index));
    check(item, schema.items, to);
    to.path.pop();
  }
}

function checkCount(
  count: number,
  value: unknown,
  least: number | undefined,
  most: number | undefined,
  schema: Schema,
  to: Check,
): void {
  if (least !== undefined && count < least) fault(to, value, schema, { kind: 'empty' });
  if (most !== undefined && count > most) fault(to, value, schema, { kind: 'too-many', limit: most });
}

function checkMap(value: Readonly<Record<string, unknown>>, schema: Schema, to: Check): void {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema;
  const keys = Object.keys(value);
  checkCount(keys.length, value, schema.minProperties, schema.maxProperties, schema, to);
  for (const key of required) {
    if (!Object.hasOwn(value, key)) fault(to, value, schema, { kind: 'missing-key', key });
  }
  for (const key of keys) {
    to.path.push(key);
    if (propertyNames && !isName(key, propertyNames)) fault(to, key, propertyNames, { kind: 'bad-key' });
    const own = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (own) check(value[key], own, to);
    else if (additionalProperties === false) fault(to, value[key], schema, { kind: 'unknown-key' });
    else if (additionalProperties) check(value[key], additionalProperties, to);
    to.path.pop();
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isName(key: string, { maxLength = Number.POSITIVE_INFINITY, pattern }: Schema): boolean {
  if (key.length > maxLength && Array.from(key).length > maxLength) return false;
  return pattern === undefined || expressionOf(pattern).test(key);
}
