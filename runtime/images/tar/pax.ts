import { ImageError } from '../image.ts';

/**
 * Parses the data of a pax extended header (POSIX.1-2001): records `LENGTH KEY=VALUE\n`. Values are bytes held as
 * latin1 strings; of a key given twice the last counts, as POSIX says. Throws ImageError.
 */
export function parsePax(data: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 ? '' : data.toString('latin1', at, space);
    const end = /^[1-9][0-9]{0,7}$/.test(digits) ? at + Number(digits) : Number.NaN;
    const record = data.toString('latin1', space + 1, end);
    const equals = record.indexOf('=');
    if (!(end > space && end <= data.length) || !record.endsWith('\n') || equals < 1) {
      throw new ImageError('it has a malformed pax header');
    }
    records.set(record.slice(0, equals), record.slice(equals + 1, -1));
    at = end;
  }
  return records;
}

/** Writes pax records; keys and values are latin1 strings. */
export function formatPax(records: Iterable<readonly [string, string]>): Buffer {
  let text = '';
  for (const [key, value] of records) {
    const rest = ` ${key}=${value}\n`;
    // The length counts its own digits.
    let length = rest.length + 1;
    while (`${length}${rest}`.length !== length) length++;
    text += `${length}${rest}`;
  }
  return Buffer.from(text, 'latin1');
}
