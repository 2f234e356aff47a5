import { isTrue, type Variables } from './expression/evaluate.ts';
import { ExpressionError } from './expression/expression.ts';
import { parseExpression } from './expression/parse.ts';
import { compileGlob, GlobError } from './glob.ts';
import type { ConditionFile } from './when-schema.ts';

/** States of what went before in which something runs. */
export type RunsOn = readonly ('success' | 'failure')[];

/** What conditions are judged by. */
export interface Circumstances {
  /** The `CI_…` variables, and those of the workflow. */
  readonly variables: Variables;
  readonly matrix: Readonly<Record<string, string>>;
  /** Such as `linux/amd64`. */
  readonly platform: string;
  /** The name of the cron job; undefined: it was none. */
  readonly cron: string | undefined;
  /** Paths of the changed files; undefined: nobody knows, and every path condition holds. */
  readonly changed: readonly string[] | undefined;
  readonly where: 'service' | 'local';
}

/** What a build is made in. `variables`: the `CI_…` ones, and those that came with the build. */
export type BuildCircumstances = Omit<Circumstances, 'matrix'>;

/** Whether a condition holds. Throws ConditionError when a part of it cannot be judged. */
export type Condition = (circumstances: Circumstances) => boolean;

/** A part of a condition that cannot be read; `key` is its key. */
export class ConditionError extends Error {
  override readonly name = 'ConditionError';
  readonly key: string;

  constructor(key: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.key = key;
  }
}

/** One of a list of conditions, ready to be judged. */
export interface When {
  readonly holds: Condition;
  /** Empty: it does not say. */
  readonly status: RunsOn;
}

/** Conditions that have been compiled: steps share them by anchors, and all combinations of a matrix have the same. */
const compiled = new WeakMap<ConditionFile, When>();

/** Compiles what a file says. Throws ConditionError. */
export function readCondition(file: ConditionFile): When {
  const when = compiled.get(file) ?? compile(file);
  compiled.set(file, when);
  return when;
}

function compile(file: ConditionFile): When {
  const parts = [
    patterns('platform', file.platform, ({ platform }) => platform),
    events(file.event),
    patterns('repo', file.repo, variable('CI_REPO')),
    patterns('ref', file.ref, variable('CI_COMMIT_REF')),
    patterns('tag', file.tag, variable('CI_COMMIT_TAG')),
    patterns('instance', file.instance, variable('CI_SYSTEM_HOST')),
    unless(['tag'], patterns('branch', file.branch, variable('CI_COMMIT_BRANCH'))),
    onlyFor(
      ['cron'],
      patterns('cron', file.cron, ({ cron }) => cron ?? ''),
    ),
    onlyFor(['push', 'pull_request', 'pull_request_closed', 'pull_request_metadata'], paths(file.path)),
    combination(file.matrix),
    expression(file.evaluate),
    file.local === false ? ({ where }: Circumstances) => where !== 'local' : undefined,
  ].filter((part) => part !== undefined);
  return {
    holds: (circumstances) => parts.every((part) => part(circumstances)),
    status: file.status === undefined ? [] : [file.status].flat(),
  };
}

/** In which states something runs by the conditions that hold; one that says nothing of states stands for success. */
export function statesOf(holding: readonly When[]): RunsOn {
  const states = holding.flatMap(({ status }) => (status.length === 0 ? ['success' as const] : status));
  return (['success', 'failure'] as const).filter((state) => states.includes(state));
}

const eventOf = ({ variables }: Circumstances): string => variables['CI_PIPELINE_EVENT'] ?? '';

function variable(name: string) {
  return ({ variables }: Circumstances): string => variables[name] ?? '';
}

function events(wanted: ConditionFile['event']): Condition | undefined {
  if (wanted === undefined) return undefined;
  const list: readonly string[] = [wanted].flat();
  return list.length === 0 ? undefined : (circumstances) => list.includes(eventOf(circumstances));
}

function onlyFor(names: readonly string[], part: Condition | undefined): Condition | undefined {
  return part && ((circumstances) => !names.includes(eventOf(circumstances)) || part(circumstances));
}

function unless(names: readonly string[], part: Condition | undefined): Condition | undefined {
  return part && ((circumstances) => names.includes(eventOf(circumstances)) || part(circumstances));
}

interface Chosen {
  readonly include: readonly ((text: string) => boolean)[];
  readonly exclude: readonly ((text: string) => boolean)[];
}

type Patterns = string | readonly string[];

function chosen(key: string, wanted: Patterns | { include?: Patterns; exclude?: Patterns }): Chosen {
  const lists = typeof wanted === 'string' || isList(wanted) ? { include: wanted } : wanted;
  const matchers = (globs: Patterns = []) => [globs].flat().map((each) => glob(key, each));
  return { include: matchers(lists.include), exclude: matchers('exclude' in lists ? lists.exclude : []) };
}

function isList(value: object): value is readonly string[] {
  return Array.isArray(value);
}

function patterns(
  key: 'platform' | 'repo' | 'ref' | 'tag' | 'instance' | 'branch' | 'cron',
  wanted: ConditionFile['branch'],
  value: (circumstances: Circumstances) => string,
): Condition | undefined {
  if (wanted === undefined) return undefined;
  const { include, exclude } = chosen(key, wanted);
  return (circumstances) => {
    const text = value(circumstances);
    if (exclude.some((matches) => matches(text))) return false;
    return include.length === 0 || include.some((matches) => matches(text));
  };
}

/** A change counts as excluded when every file of it is. */
function paths(wanted: ConditionFile['path']): Condition | undefined {
  if (wanted === undefined) return undefined;
  const { include, exclude } = chosen('path', wanted);
  const more: { ignore_message?: string; on_empty?: boolean } =
    typeof wanted === 'string' || Array.isArray(wanted) ? {} : wanted;
  const { ignore_message: ignored = '', on_empty: onEmpty = true } = more;
  return ({ changed, variables }) => {
    const message = variables['CI_COMMIT_MESSAGE'] ?? '';
    if (ignored !== '' && message.toLowerCase().includes(ignored.toLowerCase())) return true;
    if (changed === undefined) return true;
    if (changed.length === 0) return onEmpty;
    const matchesOne = (globs: Chosen['include']) => (file: string) => globs.some((matches) => matches(file));
    if (exclude.length > 0 && changed.every(matchesOne(exclude))) return false;
    return include.length === 0 || changed.some(matchesOne(include));
  };
}

/** All of `include` must match; what matches all of `exclude` does not run. */
function combination(wanted: ConditionFile['matrix']): Condition | undefined {
  if (wanted === undefined) return undefined;
  const lists = isSplit(wanted) ? wanted : { include: wanted };
  const matchers = (values: Readonly<Record<string, string | number | boolean>> = {}) =>
    Object.entries(values).map(([name, value]) => [name, glob('matrix', String(value))] as const);
  const include = matchers(lists.include);
  const exclude = matchers('exclude' in lists ? lists.exclude : {});
  return ({ matrix }) => {
    const matches = ([name, fits]: (typeof include)[number]) => fits(matrix[name] ?? '');
    if (exclude.length > 0 && exclude.every(matches)) return false;
    return include.every(matches);
  };
}

type Matrix = NonNullable<ConditionFile['matrix']>;

/** Whether it says what to include and exclude, rather than values. */
export function isSplit(
  matrix: Matrix,
): matrix is Exclude<Matrix, Readonly<Record<string, string | number | boolean>>> {
  return Object.values(matrix).every((value) => typeof value === 'object');
}

function expression(text: string | undefined): Condition | undefined {
  if (text === undefined) return undefined;
  const reading = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      throw new ConditionError('evaluate', `the expression cannot be judged: ${error.message}`, {
        cause: error,
      });
    }
  };
  const parsed = reading(() => parseExpression(text));
  return ({ variables }) => reading(() => isTrue(parsed, variables));
}

function glob(key: string, pattern: string): (text: string) => boolean {
  try {
    return compileGlob(pattern, 'any');
  } catch (error) {
    if (!(error instanceof GlobError)) throw error;
    throw new ConditionError(key, error.message, { cause: error });
  }
}
