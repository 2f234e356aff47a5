const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Bytes of `4GiB`, `1.5GB`, `512` or 512, of the form that the workflow schema lets through; rounded down. */
export function bytesOf(size: string | number): number {
  if (typeof size === 'number') return size;
  const unit = /[A-Za-z]*$/.exec(size)?.[0] ?? '';
  return Math.floor(Number.parseFloat(size) * (byteUnits[unit] ?? 1));
}

/** Milliseconds of `1h30m`, `30m` or `90s`, of the form that the workflow schema lets through. */
export function millisecondsOf(duration: string): number {
  const amount = (unit: string) => Number(new RegExp(`([0-9]+)${unit}`).exec(duration)?.[1] ?? 0);
  return ((amount('h') * 60 + amount('m')) * 60 + amount('s')) * 1000;
}

/** Bytes as a workflow would write them: `4GiB`, `1500MB`; exact, so `123` where no unit fits. */
export function writtenSize(bytes: number): string {
  const unit = ['TiB', 'TB', 'GiB', 'GB', 'MiB', 'MB', 'KiB', 'kB'].find(
    (each) => bytes >= (byteUnits[each] ?? 1) && bytes % (byteUnits[each] ?? 1) === 0,
  );
  return unit === undefined ? String(bytes) : `${bytes / (byteUnits[unit] ?? 1)}${unit}`;
}

/** Milliseconds as a workflow would write them: `1h30m`; parts of a second are left out. */
export function writtenDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const text = parts.flatMap(([count, unit]) => (count > 0 ? [`${count}${unit}`] : [])).join('');
  return text === '' ? '0s' : text;
}
