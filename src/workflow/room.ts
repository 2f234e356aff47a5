import { type Insert, type Lookup, substitute, SubstitutionError } from './substitution.ts';

/**
 * How much the workflow files of one build may come to: whoever writes them may be a stranger, and the process that
 * reads them does other things too.
 */
export interface Room {
  /** Characters of files. */
  text: number;
  /** Values of files, each as often as there are combinations of its matrix. */
  values: number;
  /** Characters of texts after variables were filled in. */
  characters: number;
}

export function createRoom(): Room {
  const Mi = 1024 * 1024;
  return { text: 4 * Mi, values: 500_000, characters: 16 * Mi };
}

/** substitute(), as far as there is room. */
export type Filling = (text: string, lookup: Lookup, insert?: Insert) => string;

/** Fills variables in while there is room; then calls `tell`, once, and leaves texts as they are. */
export function createFilling(room: Room, tell: () => void): Filling {
  let isFull = false;
  return (text, lookup, insert) => {
    if (isFull || !text.includes('$')) return text;
    try {
      const result = substitute(text, lookup, insert);
      room.characters -= result.length;
      if (room.characters >= 0) return result;
    } catch (error) {
      if (!(error instanceof SubstitutionError)) throw error;
    }
    isFull = true;
    tell();
    return text;
  };
}
