import { readFileSync } from 'node:fs';
import { RedisError } from './error.ts';

/** The certificates in a PEM file. Throws RedisError of kind `address`. */
export function readCertificates(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RedisError('address', `cannot read COFFERDAM_REDIS_CA: ${reason}`, { cause: error });
  }
  // TLS would take it for no certificate at all, and refuse every server.
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new RedisError('address', `${file} (COFFERDAM_REDIS_CA) has no certificate; name a PEM file`);
}
