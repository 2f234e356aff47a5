/** Rows under a header, in columns two blanks apart. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ');
  return all.map((row) => `${line(row).trimEnd()}\n`).join('');
}

/** Text of others on one line of a terminal: it must not steer it, nor make lines of its own. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}

/** `2026-01-31 12:05:09`, UTC. */
export function second(iso: string | undefined): string {
  return iso === undefined ? '-' : iso.slice(0, 19).replace('T', ' ');
}
