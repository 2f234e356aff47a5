import { bytesOf, millisecondsOf } from '../workflow/quantity.ts';
import { UsageError } from '../usage.ts';

/** A parser of options that may be repeated, each KEY=VALUE. Throws UsageError that names the flag. */
export function collectPairs(flag: string) {
  return (pair: string, before: Readonly<Record<string, string>>): Record<string, string> => {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`${flag} takes KEY=VALUE, not '${pair}'`);
    return { ...before, [pair.slice(0, at)]: pair.slice(at + 1) };
  };
}

/** Milliseconds of `10m`, `1h30m` or `90s`. Throws UsageError that names the flag. */
export function durationOf(flag: string, text: string): number {
  if (!/^(?=\d)(\d{1,4}h)?(\d{1,5}m)?(\d{1,7}s)?$/.test(text)) {
    throw new UsageError(`${flag} takes a time such as 10m, 1h30m or 90s, not '${text}'`);
  }
  return millisecondsOf(text);
}

/** A whole number in bounds. Throws UsageError that names the flag. */
export function integerOf(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${flag} takes a whole number from ${least} to ${most}, not '${text}'`);
}

/** A parser of options with several words, as `push,tag`; `none` is no word. Throws UsageError that names the flag. */
export function collectWords<Word extends string>(flag: string, words: readonly Word[]) {
  return (text: string): Word[] => {
    if (text === 'none') return [];
    return text.split(',').map((each) => {
      const word = words.find((known) => known === each);
      if (word !== undefined) return word;
      throw new UsageError(`${flag} takes ${words.join(',')} or some of them, not '${each}'`);
    });
  };
}

/** Bytes of a size such as `8GiB`. Throws UsageError that names the flag. */
export function sizeOf(flag: string, text: string): number {
  if (/^\d+(\.\d+)?(B|kB|[KMGT]B|[KMGT]iB)?$/.test(text)) return bytesOf(text);
  throw new UsageError(`${flag} takes a size such as 8GiB, not '${text}'`);
}

/** A number of processors, such as 1.5. Throws UsageError that names the flag. */
export function cpusOf(flag: string, text: string): number {
  if (/^\d{1,4}(\.\d{1,3})?$/.test(text) && Number(text) > 0) return Number(text);
  throw new UsageError(`${flag} takes a number such as 4 or 1.5, not '${text}'`);
}
