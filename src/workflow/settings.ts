import { labelOf, type Reading } from './finding.ts';
import type { StepSecret } from './plan.ts';
import { suggest } from './suggest.ts';

/** Variables and secrets of a container, as a map of a workflow says. */
export interface Values {
  readonly variables: Record<string, string>;
  readonly secrets: readonly StepSecret[];
}

/** The variable of a plugin's setting. */
export function settingName(key: string): string {
  return `PLUGIN_${key.replace(/[.-]/g, '_').toUpperCase()}`;
}

/**
 * Reads a map of values, as Woodpecker does: text, numbers as they are written, lists of these joined by commas, anything
 * else as JSON, and `{ from_secret: NAME }` anywhere.
 *
 * @param nameOf makes a variable's name of a key
 */
export function readValues(
  values: Readonly<Record<string, unknown>>,
  path: readonly string[],
  nameOf: (key: string) => string,
  reading: Reading,
): Values {
  const variables = new Map<string, string>();
  const secrets: StepSecret[] = [];
  for (const [key, value] of Object.entries(values)) {
    const at = [...path, key];
    const variable = nameOf(key);
    if (typeof value !== 'object' || value === null) variables.set(variable, plainText(value, at, reading));
    else if (isSecret(value)) {
      if (isUsable(value, at, reading))
        secrets.push({ kind: 'variable', variable, secret: value.from_secret });
    } else if (Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null)) {
      const texts = value.map((item, index) => plainText(item, [...at, String(index)], reading));
      variables.set(variable, texts.join(','));
    } else {
      reportMisspelled(value, at, reading);
      const named = new Set<string>();
      const template = JSON.stringify(value, (_, part: unknown) => {
        if (!isSecret(part) || !isUsable(part, at, reading)) return part;
        named.add(part.from_secret);
        return placeholder(part.from_secret);
      });
      for (const secret of named) secrets.push({ kind: 'json', variable, secret, template });
      if (named.size === 0) variables.set(variable, template);
    }
  }
  return { variables: Object.fromEntries(variables), secrets };
}

/** JSON with the value of a secret in all the places that are its. */
export function withSecret(json: string, secret: string, value: string): string {
  return json.replaceAll(JSON.stringify(placeholder(secret)), () => JSON.stringify(value));
}

/** No text of a workflow that gets into an environment holds NUL. */
function placeholder(secret: string): string {
  return `\0${secret}\0`;
}

/** Numbers keep their spelling: `VERSION: 1.10` is 1.10, not 1.1. */
function plainText(value: unknown, path: readonly string[], { scalar }: Reading): string {
  if (typeof value === 'number') return scalar(path)?.source ?? String(value);
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : '';
}

interface Secret {
  readonly from_secret: string;
}

function isSecret(value: unknown): value is Secret {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'from_secret');
}

/** Reports a name that no secret can have, and keys beside it. */
function isUsable(value: Secret, path: readonly string[], { report }: Reading): boolean {
  const { from_secret: secret, ...others } = value;
  const [other] = Object.keys(others);
  if (other !== undefined) {
    report({
      path: [...path, other],
      part: 'key',
      message: `unknown key '${other}'`,
      hint: 'a secret has from_secret',
    });
  }
  const isName = typeof secret === 'string' && /^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$/.test(secret);
  if (!isName) {
    const message = `${labelOf(path)}.from_secret must be a name of a secret such as deploy_token`;
    report({ path: [...path, 'from_secret'], part: 'value', message });
  }
  return isName && other === undefined;
}

/** `{ fromsecret: x }` would be JSON in a log. */
function reportMisspelled(value: object, path: readonly string[], { report }: Reading): void {
  const [key, ...others] = Object.keys(value);
  if (key === undefined || others.length > 0 || suggest(key, ['from_secret']) === undefined) return;
  report({
    path: [...path, key],
    part: 'key',
    message: `unknown key '${key}'`,
    hint: "did you mean 'from_secret'?",
  });
}
