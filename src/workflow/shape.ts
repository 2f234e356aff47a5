import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { suggest } from './suggest.ts';
import { type Finding, labelOf } from './finding.ts';
import { refusalOf } from './refusals.ts';
import { type WorkflowFile, workflowSchema } from './schema.ts';

interface Schema {
  readonly $schema?: string;
  readonly $ref?: string;
  readonly type?: string;
  readonly title?: string;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly propertyNames?: Schema;
}

let compiled: ValidateFunction<WorkflowFile> | undefined;

/** Checks data against the workflow schema: the file itself, or one finding for each place that is wrong. */
export function checkShape(
  value: unknown,
):
  | { readonly kind: 'right'; readonly file: WorkflowFile }
  | { readonly kind: 'wrong'; readonly findings: readonly Finding[] } {
  // Compiled when first needed: it takes longer than reading a workflow file.
  compiled ??= new Ajv({
    allErrors: true,
    verbose: true,
    allowUnionTypes: true,
    meta: false,
    validateSchema: false,
    // Optimising takes longer than it saves in one process: 10 ms of `cofferdam run`.
    code: { optimize: false },
  }).compile<WorkflowFile>(workflowSchema);
  if (compiled(value)) return { kind: 'right', file: value };
  return { kind: 'wrong', findings: findingsOf(compiled.errors ?? []) };
}

interface Fault extends Finding {
  /** The required key that is not there. */
  readonly missing?: string;
  /** The required key that an unusable one was written for: it is not called missing too. */
  readonly instead?: string;
}

function findingsOf(errors: readonly ErrorObject[]): Finding[] {
  const faults = new Map<string, Fault>();
  const instead = new Set<string>();
  for (const error of withoutOtherBranches(errors)) {
    const fault = faultOf(error);
    const id = [fault.part, fault.missing ?? '', ...fault.path].join('\0');
    if (!faults.has(id)) faults.set(id, fault);
    if (fault.instead !== undefined) instead.add([...fault.path.slice(0, -1), fault.instead].join('\0'));
  }
  return [...faults.values()]
    .filter(({ path, missing }) => missing === undefined || !instead.has([...path, missing].join('\0')))
    .map(({ path, part, message, hint }) => ({ path, part, message, ...(hint !== undefined && { hint }) }));
}

/**
 * Of a union only the branch for the value's own type matters. The validator reports all branches and the union;
 * this leaves either what is wrong in that branch or, when no branch takes the type, the union's own error.
 */
function withoutOtherBranches(errors: readonly ErrorObject[]): ErrorObject[] {
  const dropped = new Map<string, Set<unknown>>();
  for (const { keyword, instancePath, parentSchema, data } of errors) {
    if (keyword !== 'anyOf') continue;
    const { anyOf = [] }: Schema = parentSchema ?? {};
    const branches = anyOf.map(resolve);
    const matching = branches.find((branch) => takes(branch, data));
    const drop = dropped.get(instancePath) ?? new Set();
    for (const each of matching ? [...branches, parentSchema] : branches)
      if (each !== matching) drop.add(each);
    dropped.set(instancePath, drop);
  }
  return errors.filter(
    ({ instancePath, parentSchema, propertyName }) =>
      propertyName === undefined && !dropped.get(instancePath)?.has(parentSchema),
  );
}

function resolve(schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  return schema.$ref.endsWith('/step') ? workflowSchema.definitions.step : workflowSchema.definitions.service;
}

function takes({ type, anyOf }: Schema, value: unknown): boolean {
  if (anyOf) return anyOf.some((branch) => takes(resolve(branch), value));
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  return type === undefined || typeof value === type;
}

function faultOf(error: ErrorObject): Fault {
  const { keyword, data } = error;
  const schema: Schema = error.parentSchema ?? {};
  const params: Readonly<Record<string, string>> = error.params;
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const what = labelOf(path);
  if (keyword === 'type' && path.length === 0) {
    return { path, part: 'value', message: `the file must be a map with steps, not ${shown(data)}` };
  }
  if (keyword === 'additionalProperties') return keyFault(path, params['additionalProperty'] ?? '', schema);
  switch (keyword) {
    case 'required': {
      const missing = params['missingProperty'] ?? '';
      return { path, part: 'value', message: `${what} has no '${missing}'`, missing };
    }
    case 'propertyNames': {
      const key = params['propertyName'] ?? '';
      const message = `${shown(key)} must be ${phrase(schema.propertyNames?.title)}`;
      return { path: [...path, key], part: 'key', message };
    }
    case 'minItems':
    case 'minProperties':
      return { path, part: 'value', message: `${what} is empty` };
    case 'maxItems':
    case 'maxProperties':
      return { path, part: 'value', message: `${what} has more than ${params['limit']} entries` };
    case 'maxLength':
      return { path, part: 'value', message: `${what} is longer than ${params['limit']} characters` };
    case 'minimum':
    case 'maximum': {
      const bound = keyword === 'minimum' ? 'at least' : 'at most';
      return {
        path,
        part: 'value',
        message: `${what} must be ${bound} ${params['limit']}, not ${shown(data)}`,
      };
    }
    default: {
      const message = `${what} must be ${expected(schema)}, not ${shown(data)}`;
      const hint = valueHint(schema.title ?? '', data);
      return { path, part: 'value', message, ...(hint !== undefined && { hint }) };
    }
  }
}

function keyFault(parent: readonly string[], key: string, schema: Schema): Fault {
  const path = [...parent, key];
  const title = schema.title ?? '';
  const refusal = refusalOf(title, key);
  if (refusal !== undefined) return { path, part: 'key', message: `'${key}' is refused: ${refusal}` };
  const known = Object.keys(schema.properties ?? {}).filter((each) => each !== '$schema');
  const told = known.filter(
    (each) => !/^(Another name|The old name|Only false)/.test(descriptionOf(schema, each)),
  );
  const meant = suggest(key, known);
  const hint = meant === undefined ? `${phrase(title)} has ${told.join(', ')}` : `did you mean '${meant}'?`;
  const message = `unknown key ${shown(key)}`;
  return { path, part: 'key', message, hint, ...(meant !== undefined && { instead: meant }) };
}

function descriptionOf({ properties }: Schema, key: string): string {
  const property = properties?.[key];
  const described = typeof property === 'object' && property !== null && 'description' in property;
  return described ? String(property.description) : '';
}

function expected({ title, enum: values, examples }: Schema): string {
  if (values) return values.join(', ').replace(/, (?=[^,]*$)/, ' or ');
  const written = (examples ?? []).filter((example) => typeof example === 'string');
  const such = written.length > 0 ? ` such as ${written.join(', ').replace(/, (?=[^,]*$)/, ' or ')}` : '';
  return `${phrase(title)}${such}`;
}

function phrase(title = 'value'): string {
  return `${/^[aeiou]/.test(title) ? 'an' : 'a'} ${title}`;
}

function valueHint(title: string, value: unknown): string | undefined {
  if (title.includes('command')) return commandHint(value);
  return title === 'secret file' ? secretFileHint(value) : undefined;
}

/** Woodpecker's `secrets: [name]`, which made variables. */
function secretFileHint(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const variable = `environment: { ${value.toUpperCase()}: { from_secret: ${value} } }`;
  return `write '${variable}' for a variable, or '- from_secret: ${value}' for a file`;
}

/** YAML reads `- echo a: b` as a map and `- true` as a boolean. */
function commandHint(value: unknown): string | undefined {
  if (typeof value === 'boolean' || typeof value === 'number') return `put it in quotes: '${value}'`;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return "a colon and a space make a map: put the whole command in quotes, or write it after '- |'";
}

function shown(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  const text =
    typeof value === 'string'
      ? `'${value}'`
      : typeof value === 'number'
        ? String(value)
        : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
