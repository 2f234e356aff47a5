import { type Finding, labelOf } from './finding.ts';
import { type Fault, faultsOf, type Schema, takesText } from './json-schema.ts';
import { oldFormOf, refusalOf } from './refusals.ts';
import { type WorkflowFile, workflowSchema } from './schema.ts';
import { suggest } from './suggest.ts';

/** Checks data against the workflow schema: the file itself, or one finding for each place that is wrong. */
export function checkShape(
  value: unknown,
):
  | { readonly kind: 'right'; readonly file: WorkflowFile }
  | { readonly kind: 'wrong'; readonly findings: readonly Finding[] } {
  const faults = faultsOf(workflowSchema, value);
  return isFile(value, faults)
    ? { kind: 'right', file: value }
    : { kind: 'wrong', findings: findingsOf(faults) };
}

/** Whether text may stand at a path of a workflow. */
export function takesTextAt(path: readonly string[]): boolean {
  return takesText(workflowSchema, path);
}

function isFile(_: unknown, faults: readonly Fault[]): _ is WorkflowFile {
  return faults.length === 0;
}

/** Suggestions cost time, and no more problems are shown. */
const mostSuggestions = 100;

/** A required key is not called missing too where another was written for it. */
function findingsOf(faults: readonly Fault[]): Finding[] {
  const unknown = faults.filter(({ kind }) => kind === 'unknown-key').slice(0, mostSuggestions);
  const meant = new Map(unknown.map((fault) => [fault, meantBy(fault)]));
  const written = new Set([...meant].map(([{ path }, key]) => [...path.slice(0, -1), key].join('\0')));
  return faults
    .filter((fault) => fault.kind !== 'missing-key' || !written.has([...fault.path, fault.key].join('\0')))
    .map((fault) => findingOf(fault, meant.get(fault)));
}

function findingOf(fault: Fault, meant: string | undefined): Finding {
  const { path, value, schema } = fault;
  const what = labelOf(path);
  const about = (message: string, hint?: string): Finding => {
    return { path, part: 'value', message, ...(hint !== undefined && { hint }) };
  };
  switch (fault.kind) {
    case 'missing-key':
      return about(`${what} has no '${fault.key}'`);
    case 'unknown-key':
      return unknownKey(fault, meant);
    case 'bad-key':
      return { path, part: 'key', message: `${shown(value)} must be ${phrase(schema.title)}` };
    case 'empty':
      return about(`${what} is empty`);
    case 'too-many':
      return about(`${what} has more than ${fault.limit} entries`);
    case 'too-long':
      return about(`${what} is longer than ${fault.limit} characters`);
    case 'too-small':
      return about(`${what} must be at least ${fault.limit}, not ${shown(value)}`);
    case 'too-large':
      return about(`${what} must be at most ${fault.limit}, not ${shown(value)}`);
    case 'other':
    default: {
      const old = oldFormOf(schema.title ?? '', value);
      if (old) return about(old.message, old.hint);
      return path.length === 0
        ? about(`the file must be a map with steps, not ${shown(value)}`)
        : about(`${what} must be ${expected(schema)}, not ${shown(value)}`, valueHint(schema.title, value));
    }
  }
}

function unknownKey({ path, schema }: Fault, meant: string | undefined): Finding {
  const key = path.at(-1) ?? '';
  const refusal = refusalOf(schema.title ?? '', key);
  if (refusal !== undefined) return { path, part: 'key', message: `'${key}' is refused: ${refusal}` };
  const known = Object.entries(schema.properties ?? {});
  const told = known.flatMap(([name, { description = '' }]) =>
    /^(Another name|The old name|Only false|For editors)/.test(description) ? [] : [name],
  );
  const hint =
    meant === undefined ? `${phrase(schema.title)} has ${told.join(', ')}` : `did you mean '${meant}'?`;
  return { path, part: 'key', message: `unknown key ${shown(key)}`, hint };
}

function meantBy({ path, schema }: Fault): string | undefined {
  const key = path.at(-1) ?? '';
  const known = Object.keys(schema.properties ?? {});
  return refusalOf(schema.title ?? '', key) === undefined ? suggest(key, known) : undefined;
}

function expected({ title, enum: values, examples }: Schema): string {
  if (values) return oneOf(values);
  const written = (examples ?? []).filter((example) => typeof example === 'string');
  return `${phrase(title)}${written.length > 0 ? ` such as ${oneOf(written)}` : ''}`;
}

function oneOf(words: readonly string[]): string {
  return words.join(', ').replace(/, (?=[^,]*$)/, ' or ');
}

function phrase(title = 'value'): string {
  return `${/^[aeiou]/.test(title) ? 'an' : 'a'} ${title}`;
}

function valueHint(title = '', value: unknown): string | undefined {
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
