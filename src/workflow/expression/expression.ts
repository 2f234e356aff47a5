/**
 * The expressions of `when: evaluate`: the part of expr-lang that conditions on variables need. Expressions are a
 * stranger's: nothing in them runs as code, and each takes a bounded number of operations.
 */

export type Value = string | number | boolean | null | readonly Value[];

export type Expression =
  | { readonly kind: 'literal'; readonly value: Value }
  | { readonly kind: 'variable'; readonly name: string }
  /** `#`: the element that the nearest any(), all(), … looks at. */
  | { readonly kind: 'element' }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'not' | 'minus'; readonly of: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: 'choice'; readonly test: Expression; readonly yes: Expression; readonly no: Expression }
  | { readonly kind: 'index'; readonly of: Expression; readonly at: Expression }
  | {
      readonly kind: 'slice';
      readonly of: Expression;
      readonly from: Expression | undefined;
      readonly to: Expression | undefined;
    }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] };

/** An expression that cannot be read, or whose operands do not fit; the message says where or why. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
}
