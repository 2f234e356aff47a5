import type { StepEnvironmentFile } from './environment-schema.ts';
import { type PlanStep, secretsPath, type StepSecret } from './plan.ts';
import type { StepFile } from './schema.ts';
import type { Finding } from './shape.ts';

type Report = (finding: Finding) => void;
/** The text of a scalar as written in the file. */
type Source = (path: readonly string[]) => string | undefined;

/** A step's variables, over those of the workflow, and its secrets. */
export function readStepEnvironment(
  step: StepFile,
  path: readonly string[],
  shared: Readonly<Record<string, string>>,
  source: Source,
  report: Report,
): Pick<PlanStep, 'environment' | 'secrets'> {
  const own = readEnvironment(step.environment ?? {}, [...path, 'environment'], source, report);
  // A secret that is withheld must not leave the workflow's variable of that name in its place.
  const environment = { ...shared, ...own.variables };
  for (const { variable } of own.secrets) delete environment[variable];
  return { environment, secrets: [...own.secrets, ...readSecretFiles(step.secrets ?? [], path, report)] };
}

/** Numbers keep their spelling: `VERSION: 1.10` is 1.10, not 1.1. */
export function readEnvironment(
  environment: StepEnvironmentFile,
  path: readonly string[],
  source: Source,
  report: Report,
): {
  readonly variables: Record<string, string>;
  readonly secrets: readonly Extract<StepSecret, { kind: 'variable' }>[];
} {
  if (Array.isArray(environment)) return { variables: readList(environment, path, report), secrets: [] };
  const variables = new Map<string, string>();
  const secrets: Extract<StepSecret, { kind: 'variable' }>[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (typeof value === 'object' && value !== null) {
      secrets.push({ kind: 'variable', variable: name, secret: value.from_secret });
      continue;
    }
    const written = typeof value === 'number' ? source([...path, name]) : undefined;
    variables.set(name, written ?? String(value ?? ''));
  }
  return { variables: Object.fromEntries(variables), secrets };
}

function readList(lines: readonly string[], path: readonly string[], report: Report): Record<string, string> {
  const variables = new Map<string, string>();
  for (const [index, line] of lines.entries()) {
    const name = line.slice(0, line.indexOf('='));
    if (variables.has(name)) {
      const message = `'${name}' is already set in this list`;
      report({ path: [...path, String(index)], part: 'value', message, hint: 'keep one of them' });
    }
    variables.set(name, line.slice(name.length + 1));
  }
  return Object.fromEntries(variables);
}

function readSecretFiles(
  files: NonNullable<StepFile['secrets']>,
  path: readonly string[],
  report: Report,
): StepSecret[] {
  const seen = new Set<string>();
  return files.map(({ from_secret: secret, path: file = `${secretsPath}/${secret}` }, index) => {
    if (seen.has(file)) {
      const message = `another secret of this step is ${file}`;
      const hint = 'give each a `path:` of its own';
      report({ path: [...path, 'secrets', String(index)], part: 'value', message, hint });
    }
    seen.add(file);
    return { kind: 'file', file: file.slice(secretsPath.length + 1), secret };
  });
}
