/** A stretch of bytes, both ends included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What a Range header (RFC 9110, section 14) asks for of `total` bytes. `all`: no header, or one that may be ignored:
 * another unit, several ranges, or not well-formed.
 */
export function parseRange(header: string | undefined, total: number): ByteRange | 'all' | 'unsatisfiable' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.replaceAll(' ', '') ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (first === '' && last === '') return 'all';
  if (first === '') {
    const suffix = Math.min(Number(last), total);
    return suffix === 0 ? 'unsatisfiable' : { start: total - suffix, end: total - 1 };
  }
  const start = Number(first);
  const end = last === '' ? total - 1 : Math.min(Number(last), total - 1);
  if (last !== '' && Number(last) < start) return 'all';
  return start >= total ? 'unsatisfiable' : { start, end };
}
