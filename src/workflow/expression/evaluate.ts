import { RE2JS } from 're2js';
import { type Expression, ExpressionError, type Value } from './expression.ts';
import { functions, predicates } from './functions.ts';
import { lengthOf, numberOf, same, textOf } from './values.ts';

/** Variables of a build; a name that is not there has no value (`nil`). */
export type Variables = Readonly<Record<string, string>>;

/** An expression that looks at more than this many values is refused. */
const mostSteps = 100_000;

/** The value of a condition. Throws ExpressionError when it is no boolean, or operands do not fit. */
export function isTrue(expression: Expression, variables: Variables): boolean {
  const value = createEvaluation(variables)(expression, null);
  if (typeof value === 'boolean') return value;
  throw new ExpressionError('it is neither true nor false');
}

function createEvaluation(variables: Variables) {
  let steps = 0;

  const evaluate = (expression: Expression, element: Value): Value => {
    if (++steps > mostSteps) throw new ExpressionError('it takes too many steps');
    const of = (part: Expression) => evaluate(part, element);
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'variable':
        return Object.hasOwn(variables, expression.name) ? (variables[expression.name] ?? null) : null;
      case 'element':
        return element;
      case 'list':
        return expression.items.map(of);
      case 'not':
        return !booleanOf(of(expression.of), 'not');
      case 'minus':
        return -numberOf(of(expression.of), '-');
      case 'choice':
        return booleanOf(of(expression.test), '?') ? of(expression.yes) : of(expression.no);
      case 'index':
        return indexed(of(expression.of), of(expression.at));
      case 'slice':
        return sliced(
          of(expression.of),
          expression.from && of(expression.from),
          expression.to && of(expression.to),
        );
      case 'binary':
        return binary(expression, of);
      case 'call':
        break;
    }
    return call(expression, element);
  };

  const call = ({ name, args }: Extract<Expression, { kind: 'call' }>, element: Value): Value => {
    const predicate = predicates.get(name);
    const [first, test] = args;
    if (predicate && first && args.length <= 2) {
      const list = evaluate(first, element);
      if (!Array.isArray(list)) throw new ExpressionError(`${name}() needs a list`);
      return predicate(list, (each) => (test ? evaluate(test, each) : each));
    }
    const plain = functions.get(name);
    if (!plain) throw new ExpressionError(`there is no function ${name}() here`);
    const values = args.map((arg) => evaluate(arg, element));
    return plain(...values);
  };

  return evaluate;
}

function binary(
  { operator, left, right }: Extract<Expression, { kind: 'binary' }>,
  of: (part: Expression) => Value,
): Value {
  const first = of(left);
  switch (operator) {
    case 'and':
    case '&&':
      return booleanOf(first, operator) && booleanOf(of(right), operator);
    case 'or':
    case '||':
      return booleanOf(first, operator) || booleanOf(of(right), operator);
    case '??':
      return first ?? of(right);
    default:
      return combined(operator, first, of(right));
  }
}

function combined(operator: string, a: Value, b: Value): Value {
  switch (operator) {
    case '==':
      return same(a, b);
    case '!=':
      return !same(a, b);
    case '<':
      return compared(a, b, operator) < 0;
    case '>':
      return compared(a, b, operator) > 0;
    case '<=':
      return compared(a, b, operator) <= 0;
    case '>=':
      return compared(a, b, operator) >= 0;
    case 'in':
      if (!Array.isArray(b)) throw new ExpressionError('in needs a list on its right');
      return b.some((each) => same(a, each));
    case 'matches':
      return matches(textOf(a, operator), textOf(b, operator));
    case 'contains':
      return textOf(a, operator).includes(textOf(b, operator));
    case 'startsWith':
      return textOf(a, operator).startsWith(textOf(b, operator));
    case 'endsWith':
      return textOf(a, operator).endsWith(textOf(b, operator));
    case '+':
      if (typeof a === 'string' || typeof b === 'string') return textOf(a, '+') + textOf(b, '+');
      return numberOf(a, '+') + numberOf(b, '+');
    default:
      return calculated(operator, a, b);
  }
}

function calculated(operator: string, left: Value, right: Value): Value {
  const a = numberOf(left, operator);
  const b = numberOf(right, operator);
  switch (operator) {
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
    case '..':
      if (b - a > 1000) throw new ExpressionError('a range has 1000 numbers at most');
      return Array.from({ length: Math.max(0, b - a + 1) }, (_, i) => a + i);
    default:
      return a ** b;
  }
}

/** RE2's syntax, as Go's: linear in the text. */
function matches(text: string, pattern: string): boolean {
  try {
    return RE2JS.compile(pattern).matcher(text).find();
  } catch (error) {
    throw new ExpressionError(`'${pattern}' is no regular expression`, { cause: error });
  }
}

function booleanOf(value: Value, operator: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new ExpressionError(
    `${operator} needs true or false, not ${value === null ? 'nil' : `'${String(value)}'`}`,
  );
}

function compared(a: Value, b: Value, operator: string): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [left, right] = [textOf(a, operator), textOf(b, operator)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function indexed(value: Value, at: Value): Value {
  const index = numberOf(at, '[]');
  const items = typeof value === 'string' ? Array.from(value) : value;
  if (!Array.isArray(items)) throw new ExpressionError('[] needs a list or a text before it');
  const found: Value | undefined = items.at(index);
  return found ?? null;
}

function sliced(value: Value, from: Value | undefined, to: Value | undefined): Value {
  const start = from === undefined ? 0 : numberOf(from, '[:]');
  const end = to === undefined ? lengthOf(value) : numberOf(to, '[:]');
  if (typeof value === 'string') return Array.from(value).slice(start, end).join('');
  if (Array.isArray(value)) return value.slice(start, end);
  throw new ExpressionError('[:] needs a list or a text before it');
}
