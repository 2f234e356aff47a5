/**
 * Takes the traces of a script out of its output: a command that is shown before it runs has said nothing yet.
 * @param traces as the script writes them, in order; one that never comes leaves the rest as it is
 */
export function withoutTraces(
  traces: readonly string[],
  listener: (chunk: Buffer) => void,
): (chunk: Buffer) => void {
  const awaited = traces.map((trace) => Buffer.from(trace));
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    let rest = Buffer.concat([held, chunk]);
    for (let [next] = awaited; next; [next] = awaited) {
      const at = rest.indexOf(next);
      if (at < 0) break;
      listener(rest.subarray(0, at));
      rest = rest.subarray(at + next.length);
      awaited.shift();
    }
    const open = rest.length - beginning(rest, awaited[0]);
    held = Buffer.from(rest.subarray(open));
    listener(rest.subarray(0, open));
  };
}

/** How many bytes at the end of a text may be the beginning of a trace. */
function beginning(text: Buffer, trace: Buffer | undefined): number {
  for (let length = Math.min(text.length, (trace?.length ?? 1) - 1); length > 0; length--) {
    if (trace?.subarray(0, length).equals(text.subarray(text.length - length))) return length;
  }
  return 0;
}
