import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** A header that is there once; undefined: it is not. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The bytes in a header of so many hex digits, such as `sha256=<hex>`; undefined: it has another form. */
export function digestIn(header: string | undefined, prefix = ''): Buffer | undefined {
  if (header === undefined || !header.startsWith(prefix)) return undefined;
  const hex = header.slice(prefix.length);
  return /^[0-9a-f]{64}$/i.test(hex) ? Buffer.from(hex, 'hex') : undefined;
}

/**
 * Whether one of the keys makes this HMAC-SHA256 of the parts. All keys are tried, whatever is found, and compared in
 * constant time. An empty key makes nothing: it is what a missing secret looks like.
 */
export function isSigned(
  signature: Buffer | undefined,
  parts: readonly (string | Buffer)[],
  keys: readonly (string | Buffer)[],
): boolean {
  if (!signature) return false;
  let found = false;
  for (const key of keys) {
    const hmac = createHmac('sha256', key);
    for (const part of parts) hmac.update(part);
    const same = isSame(hmac.digest(), signature);
    found ||= same && key.length > 0;
  }
  return found;
}

/** Whether a text is one of the secrets; compared as digests, so that its length and beginning tell nothing. */
export function isOneOf(text: string, secrets: readonly string[]): boolean {
  const digest = (each: string) => createHash('sha256').update(each).digest();
  const wanted = digest(text);
  let found = false;
  for (const secret of secrets) {
    const same = isSame(digest(secret), wanted);
    found ||= same && secret !== '';
  }
  return found;
}

function isSame(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** How far a signed time may be from ours, in seconds; https://www.standardwebhooks.com recommends five minutes. */
const toleranceSeconds = 300;

/** Whether a time, in seconds since 1970 as digits, is about now. */
export function isRecent(seconds: string | undefined): seconds is string {
  if (seconds === undefined || !/^\d{1,12}$/.test(seconds)) return false;
  return Math.abs(Date.now() / 1000 - Number(seconds)) <= toleranceSeconds;
}
