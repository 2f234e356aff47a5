/** Makes whole lines of what several write at the same time. */
export interface Lines {
  /** The lines that the chunk completes. */
  add(label: string, chunk: Buffer): Buffer[];
  /** What a writer left without a newline at its end, as lines; undefined: of all writers, in the order they began. */
  rest(label?: string): readonly { readonly label: string; readonly line: Buffer }[];
}

/** Longer lines are shown in parts. */
const longest = 64 * 1024;
const newline = 10;

export function createLines(): Lines {
  const open = new Map<string, Buffer>();

  return {
    add: (label, chunk) => {
      const before = open.get(label);
      let data = before ? Buffer.concat([before, chunk]) : chunk;
      const lines: Buffer[] = [];
      for (let at = data.indexOf(newline); at >= 0; at = data.indexOf(newline)) {
        lines.push(data.subarray(0, at + 1));
        data = data.subarray(at + 1);
      }
      while (data.length > longest) {
        lines.push(Buffer.concat([data.subarray(0, longest), Buffer.of(newline)]));
        data = data.subarray(longest);
      }
      if (data.length > 0) open.set(label, Buffer.from(data));
      else open.delete(label);
      return lines;
    },
    rest: (label) => {
      const left = [...open].filter(([each]) => label === undefined || each === label);
      for (const [each] of left) open.delete(each);
      return left.map(([each, data]) => ({
        label: each,
        line: Buffer.concat([data, Buffer.of(newline)]),
      }));
    },
  };
}
