import type { Random } from '../random.ts';

/**
 * Something that takes a stranger's input, and what it promises for all of it.
 *
 * `make` gives an input, the same for the same numbers; `check` hands it over and throws when a promise is broken, or
 * else says what came of it. Every outcome of `outcomes` must be seen: one that accepts nothing proves nothing.
 */
export interface Target<Input> {
  readonly name: string;
  /** What holds for every input, in a line. */
  readonly promise: string;
  /** Inputs that are tried in `npm test`: a second or two of work. */
  readonly rounds: number;
  readonly outcomes: readonly string[];
  /** What was found once, and mended. */
  readonly cases: readonly Input[];
  open(): Session<Input> | Promise<Session<Input>>;
}

export interface Session<Input> {
  make(random: Random): Input;
  check(input: Input): string | Promise<string>;
  close?(): void | Promise<void>;
}

/** How long to go on, and with which numbers. */
export interface Budget {
  /** Round n has the numbers of seed + n. */
  readonly seed: number;
  readonly rounds: number;
  readonly milliseconds: number;
}

/** What a campaign came to. */
export type Report =
  | {
      readonly kind: 'held';
      readonly rounds: number;
      /** How often each outcome was seen. */
      readonly seen: Readonly<Record<string, number>>;
    }
  | {
      readonly kind: 'broken';
      /** Gives the input again, in one round; undefined: it is one of the target's cases. */
      readonly seed: number | undefined;
      readonly reason: string;
      /** As it was made, and as little of it as still breaks the promise. */
      readonly input: string;
      readonly smaller: string;
    };
