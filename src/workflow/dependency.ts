import type { Reading } from './finding.ts';
import type { StepFile } from './schema.ts';
import { suggest } from './suggest.ts';

/** What a step or a workflow waits for. */
export interface Dependency {
  readonly name: string;
  /** Dropped when there is no such thing in this build. */
  readonly optional: boolean;
  readonly path: readonly string[];
}

/** Reads `depends_on`, or `needs`; undefined: neither is there. */
export function readDependencies(
  file: Pick<StepFile, 'depends_on' | 'needs'>,
  path: readonly string[],
  { report }: Reading,
): readonly Dependency[] | undefined {
  const key = file.depends_on === undefined ? 'needs' : 'depends_on';
  const written = file[key];
  if (file.depends_on !== undefined && file.needs !== undefined) {
    const message = 'depends_on and needs do not go together';
    report({ path: [...path, 'needs'], part: 'key', message, hint: 'they are the same; keep one' });
  }
  if (written === undefined) return undefined;
  const list = typeof written !== 'string';
  return (list ? written : [written]).map((item, index) => {
    const at = list ? [...path, key, String(index)] : [...path, key];
    if (typeof item === 'string') return { name: item, optional: false, path: at };
    return { name: item.name, optional: item.optional ?? false, path: at };
  });
}

/** Suggestions cost time, and nobody reads more of them. */
const mostSuggestions = 20;

/** Reports dependencies, but optional ones, on what does not exist. `what`: step or workflow. */
export function reportUnknownNames(
  what: string,
  names: readonly string[],
  dependencies: readonly Dependency[],
  { report }: Pick<Reading, 'report'>,
): void {
  const known = new Set(names);
  const unknown = dependencies.filter(({ name, optional }) => !optional && !known.has(name));
  for (const [index, { name, path }] of unknown.entries()) {
    const meant = index < mostSuggestions ? suggest(name, names) : undefined;
    const hint =
      meant === undefined ? `there is ${names.slice(0, 20).join(', ')}` : `did you mean '${meant}'?`;
    report({ path, part: 'value', message: `no ${what} is called '${name}'`, hint });
  }
}

/** The first circle found among those that wait for each other, its first name again at its end; linear in time. */
export function findCircle(
  names: Iterable<string>,
  next: (name: string) => readonly string[],
): readonly string[] | undefined {
  const done = new Set<string>();
  for (const start of names) {
    const way = [{ name: start, rest: next(start).values() }];
    const open = new Set([start]);
    for (let last = way.at(-1); last; last = way.at(-1)) {
      const { value, done: isEnd } = last.rest.next();
      if (isEnd === true) {
        way.pop();
        open.delete(last.name);
        done.add(last.name);
      } else if (open.has(value)) {
        const named = way.map(({ name }) => name);
        return [...named.slice(named.indexOf(value)), value];
      } else if (!done.has(value)) {
        way.push({ name: value, rest: next(value).values() });
        open.add(value);
      }
    }
  }
  return undefined;
}
