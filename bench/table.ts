import type { PeerSummary, Summary } from './row.ts';

const heading = ['', 'median', 'p99', 'n', 'target', 'reached'];

/** One line for each quantity and, indented below it, one for each peer. */
export function table(
  figures: readonly { readonly figure: string; readonly rows: readonly Summary[] }[],
): string {
  const lines = figures.flatMap(({ figure, rows }) => rows.flatMap((row) => linesOf(figure, row)));
  const widths = heading.map((title, i) =>
    Math.max(title.length, ...lines.map((line) => line[i]?.length ?? 0)),
  );
  const show = (line: readonly string[]) =>
    line
      .map((cell, i) => (i === 0 || i > 3 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [heading, widths.map((width) => '-'.repeat(width)), ...lines]
    .map((line) => `${show(line)}\n`)
    .join('');
}

function linesOf(figure: string, row: Summary): string[][] {
  const { unit, target } = row;
  const own = [
    `${figure}: ${row.what}`,
    `${rounded(row.median)} ${unit}`,
    rounded(row.p99),
    String(row.samples),
    target ? `${target.kind === 'most' ? '≤' : '≥'} ${target.limit} ${unit}` : '',
    target ? verdict(target.met) : '',
  ];
  return [own, ...row.peers.map((peer) => peerLine(peer, row))];
}

function peerLine(peer: PeerSummary, { unit }: Summary): string[] {
  const { target, costRatio } = peer;
  const gain = target ? target.kind === 'gain' : costRatio < 1;
  const ratio = gain ? `${rounded(1 / costRatio)} × faster` : `${costRatio.toFixed(2)} × its cost`;
  return [
    `  ${peer.name}`,
    `${rounded(peer.median)} ${unit}`,
    rounded(peer.p99),
    String(peer.samples),
    target ? (gain ? `≥ ${target.limit} × faster` : `≤ ${target.limit} × its cost`) : '',
    target ? `${verdict(target.met)} ${ratio}` : ratio,
  ];
}

const verdict = (met: boolean) => (met ? 'met   ' : 'MISSED');

/** Three figures at least, no more decimals than that needs. */
function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
