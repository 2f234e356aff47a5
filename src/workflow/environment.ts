import type { SettingsFile, StepEnvironmentFile } from './environment-schema.ts';
import type { Reading } from './finding.ts';
import { secretsPath, type StepSecret } from './plan.ts';
import type { StepFile } from './schema.ts';
import { readValues, settingName, type Values } from './settings.ts';

/** What a step or service says of its environment. */
interface Environment {
  readonly environment?: StepEnvironmentFile;
  readonly settings?: SettingsFile;
  readonly secrets?: StepFile['secrets'];
}

/** A container's variables, over those that it has anyway, and its secrets. */
export function readContainerEnvironment(
  file: Environment,
  path: readonly string[],
  shared: Readonly<Record<string, string>>,
  reading: Reading,
): { readonly environment: Record<string, string>; readonly secrets: readonly StepSecret[] } {
  const own = readEnvironment(file.environment ?? {}, [...path, 'environment'], reading);
  const settings = readValues(file.settings ?? {}, [...path, 'settings'], settingName, reading);
  // A secret that is withheld must not leave the workflow's variable of that name in its place.
  const environment = { ...shared, ...settings.variables, ...own.variables };
  const inVariables = [...settings.secrets, ...own.secrets];
  for (const secret of inVariables) if (secret.kind !== 'file') delete environment[secret.variable];
  return { environment, secrets: [...inVariables, ...readSecretFiles(file.secrets ?? [], path, reading)] };
}

/** The variables of all steps; secrets are for single steps. */
export function readSharedEnvironment(
  environment: StepEnvironmentFile,
  reading: Reading,
): Readonly<Record<string, string>> {
  const { variables, secrets } = readEnvironment(environment, ['environment'], reading);
  for (const secret of secrets) {
    if (secret.kind === 'file') continue;
    reading.report({
      path: ['environment', secret.variable],
      part: 'value',
      message: `environment.${secret.variable} is a secret for all steps`,
      hint: 'a secret goes to the steps that name it: move it to their `environment:`',
    });
  }
  return variables;
}

function readEnvironment(
  environment: StepEnvironmentFile,
  path: readonly string[],
  reading: Reading,
): Values {
  if (isList(environment)) return { variables: readList(environment, path, reading), secrets: [] };
  return readValues(environment, path, (name) => name, reading);
}

function isList(environment: StepEnvironmentFile): environment is string[] {
  return Array.isArray(environment);
}

function readList(
  lines: readonly string[],
  path: readonly string[],
  { report }: Reading,
): Record<string, string> {
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
  { report }: Reading,
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
