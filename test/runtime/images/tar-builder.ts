/** One entry to build; what is left out is a plain root-owned file. Fields may lie, for hostile archives. */
export interface Entry {
  readonly path: string;
  readonly type?: string;
  readonly data?: string | Buffer;
  /** As the header states it, when that is not the length of the data. */
  readonly size?: number;
  readonly target?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly device?: readonly [number, number];
  /** pax records to put before it; values byte by byte. */
  readonly pax?: readonly (readonly [string, string])[];
  /** Type of the header that carries the pax records; default `x`. */
  readonly paxType?: string;
}

/** A tar as other programs would write it, independent of the code under test. */
export function tar(entries: readonly Entry[]): Buffer {
  return Buffer.concat([...entries.flatMap(blocks), Buffer.alloc(1024)]);
}

export const directory = (path: string, more: Partial<Entry> = {}): Entry => ({
  path,
  type: '5',
  mode: 0o755,
  ...more,
});
export const file = (path: string, data = '', more: Partial<Entry> = {}): Entry => ({ path, data, ...more });
export const symlink = (path: string, target: string): Entry => ({ path, type: '2', target });
export const hardlink = (path: string, target: string): Entry => ({ path, type: '1', target });

function blocks(entry: Entry): Buffer[] {
  const data = Buffer.from(entry.data ?? '');
  const parts: Buffer[] = [];
  if (entry.pax) {
    const records = Buffer.from(
      entry.pax.map(([key, value]) => record(`${key}=${value}\n`)).join(''),
      'latin1',
    );
    parts.push(header({ path: 'pax', type: entry.paxType ?? 'x' }, records.length), padded(records));
  }
  if (entry.path.length > 100) {
    const name = Buffer.from(`${entry.path}\0`);
    parts.push(header({ path: '././@LongLink', type: 'L' }, name.length), padded(name));
  }
  parts.push(header(entry, entry.size ?? data.length), padded(data));
  return parts;
}

function record(rest: string): string {
  for (let length = rest.length; ; length++) {
    if (`${length} ${rest}`.length === length) return `${length} ${rest}`;
  }
}

function header(entry: Entry, size: number): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  block.write(entry.path.slice(0, 100), 0, 'latin1');
  block.write(octal(entry.mode ?? 0o644, 7), 100);
  for (const [at, id] of [
    [108, entry.uid ?? 0],
    [116, entry.gid ?? 0],
  ] as const) {
    if (id < 8 ** 7) block.write(octal(id, 7), at);
    else block.writeUInt32BE(id, block.writeUInt32BE(0x80000000, at));
  }
  if (size < 8 ** 11) block.write(octal(size, 11), 124);
  else block.writeBigUInt64BE(BigInt(size), block.writeUInt32BE(0x80000000, 124));
  block.write(octal(entry.mtime ?? 1_000_000, 11), 136);
  block.write(entry.type ?? '0', 156);
  block.write((entry.target ?? '').slice(0, 100), 157, 'latin1');
  block.write('ustar\x0000', 257);
  const [major, minor] = entry.device ?? [0, 0];
  block.write(octal(major, 7), 329);
  block.write(octal(minor, 7), 337);
  block.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}
