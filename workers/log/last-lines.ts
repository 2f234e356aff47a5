/** The end of some output. */
export interface LastLines {
  readonly add: (chunk: Buffer) => void;
  /** At most so many lines, the last one complete; of lines that are very long only the end. */
  readonly text: () => Buffer;
}

/** More is never kept, however long the lines are. */
const mostBytes = 16 * 1024;
const newline = 10;

export function createLastLines(count: number): LastLines {
  let kept: Buffer[] = [];
  let bytes = 0;

  const joined = (): Buffer => {
    const all = Buffer.concat(kept);
    const end = all.subarray(Math.max(0, all.length - mostBytes));
    kept = [end];
    bytes = end.length;
    return end;
  };
  return {
    add: (chunk) => {
      // A copy: the chunk may be part of a much larger buffer.
      kept.push(Buffer.from(chunk.subarray(Math.max(0, chunk.length - mostBytes))));
      bytes += chunk.length;
      if (bytes > 4 * mostBytes) joined();
    },
    text: () => {
      const all = joined();
      if (all.length === 0) return all;
      const whole = all.at(-1) === newline ? all : Buffer.concat([all, Buffer.of(newline)]);
      let start = whole.length - 1;
      for (let lines = 0; lines < count && start >= 0; lines++) start = whole.lastIndexOf(newline, start - 1);
      return whole.subarray(start + 1);
    },
  };
}
