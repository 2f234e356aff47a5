import type { SnapshotFacts } from './local.ts';

/** `50,000 files, 1.0 GB`. */
export function sizeWords({ files, bytes }: Pick<SnapshotFacts, 'files' | 'bytes'>): string {
  return `${files.toLocaleString('en')} ${files === 1 ? 'file' : 'files'}, ${bytesWords(bytes)}`;
}

/** `1.0 GB`, by thousands. */
export function bytesWords(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${(bytes / 1000 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`;
}

/** `9 ms`, `2.1 s`. */
export function timeWords(ms: number): string {
  return ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
}
