import { basename, dirname } from 'node:path';
import { readYaml, type YamlDocument } from './document.ts';
import { WorkflowError } from './problem.ts';

/** Largest workflow file, in bytes of UTF-8. */
export const maxFileBytes = 1024 * 1024;

/** A workflow file; `file` is how the user knows it, names the workflow and begins every problem. */
export interface WorkflowText {
  readonly file: string;
  readonly text: string;
}

/** Documents of the texts that were read last: a project's builds differ in their source, seldom in their workflow. */
const recent = new Map<string, YamlDocument>();
const mostRecent = 64;
/** Characters of a text whose document is kept. */
const longestKept = 16 * 1024;

/** The YAML of a workflow file. Throws WorkflowError. */
export function readDocument({ file, text }: WorkflowText): YamlDocument {
  const key = `${file}\0${text}`;
  const document = recent.get(key) ?? read(text, file);
  // Last in the order of the map, so that the first is the one to forget.
  recent.delete(key);
  if (text.length <= longestKept) recent.set(key, document);
  const [oldest] = recent.keys();
  if (recent.size > mostRecent && oldest !== undefined) recent.delete(oldest);
  return document;
}

function read(text: string, file: string): YamlDocument {
  refuse(text, file);
  const document = readYaml(text, file);
  if (document.value === null) {
    throw new WorkflowError([{ file, line: 1, column: 1, message: 'the file is empty' }]);
  }
  return document;
}

function refuse(text: string, file: string): void {
  const stop = (message: string, before: string) => {
    const lines = before.split('\n');
    const place = { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
    throw new WorkflowError([{ file, ...place, message }]);
  };
  if (text.length > maxFileBytes || Buffer.byteLength(text) > maxFileBytes) {
    stop('the file is larger than 1 MiB', '');
  }
  const nul = text.indexOf('\0');
  if (nul !== -1) stop('the file holds a NUL character: it is not text', text.slice(0, nul));
}

/** `.cofferdam.yaml` → `cofferdam`, `.cofferdam/lint.yaml` → `lint`. */
export function workflowName(file: string): string {
  const name = basename(file)
    .replace(/\.ya?ml$/, '')
    .replace(/^\./, '');
  return name === '' ? basename(dirname(file)) || 'workflow' : name;
}
