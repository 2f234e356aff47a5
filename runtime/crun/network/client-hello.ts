/** What the first bytes of a TLS connection say. */
export type Hello =
  /** More bytes are needed. */
  | { readonly kind: 'partial' }
  /** It is something else, or broken. */
  | { readonly kind: 'not-tls' }
  | {
      readonly kind: 'hello';
      /** The server that is asked for, in lower case (RFC 6066); undefined: it is not said. */
      readonly serverName: string | undefined;
      /** Whether another, hidden ClientHello may be in it. */
      readonly encrypted: boolean;
    };

const types = { handshake: 22, clientHello: 1, serverName: 0, hostName: 0, encryptedClientHello: 0xfe0d };

/** Larger ones exist in theory; the largest keys of today fit several times. */
export const maxHelloBytes = 32 * 1024;

/** Reads a ClientHello (RFC 8446, 4.1.2), also one that is spread over several records. Never throws. */
export function readClientHello(bytes: Buffer): Hello {
  const handshake = unwrap(bytes);
  if (typeof handshake === 'string') return { kind: handshake };
  try {
    return readExtensions(handshake);
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'not-tls' };
    throw error;
  }
}

/** The handshake message out of its records (RFC 8446, 5.1), without its header. */
function unwrap(bytes: Buffer): Buffer | 'partial' | 'not-tls' {
  const parts: Buffer[] = [];
  let have = 0;
  for (let at = 0; ; ) {
    if (bytes.length > at && bytes[at] !== types.handshake) return 'not-tls';
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return 'not-tls';
    if (bytes.length < at + 5) return 'partial';
    const size = bytes.readUInt16BE(at + 3);
    if (size === 0 || size > 2 ** 14) return 'not-tls';
    const part = bytes.subarray(at + 5, at + 5 + size);
    parts.push(part);
    have += part.length;
    at += 5 + size;
    const message = Buffer.concat(parts);
    if (message[0] !== types.clientHello && have > 0) return 'not-tls';
    if (have < 4) {
      if (part.length < size) return 'partial';
      continue;
    }
    const wanted = message.readUIntBE(1, 3);
    if (wanted > maxHelloBytes) return 'not-tls';
    if (have >= 4 + wanted) return message.subarray(4, 4 + wanted);
    if (part.length < size) return 'partial';
  }
}

/** Reading past the end throws a RangeError. */
function readExtensions(hello: Buffer): Hello {
  // Version and random; then session id, cipher suites and compression methods, each behind its length.
  let at = 2 + 32;
  at += 1 + hello.readUInt8(at);
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello.readUInt8(at);
  let serverName: string | undefined;
  let encrypted = false;
  if (at === hello.length) return { kind: 'hello', serverName, encrypted };
  const end = at + 2 + hello.readUInt16BE(at);
  if (end !== hello.length) return { kind: 'not-tls' };
  for (at += 2; at < end; ) {
    const type = hello.readUInt16BE(at);
    const size = hello.readUInt16BE(at + 2);
    const content = hello.subarray(at + 4, at + 4 + size);
    if (content.length !== size) return { kind: 'not-tls' };
    if (type === types.encryptedClientHello) encrypted = true;
    if (type === types.serverName) {
      // A second one could mean something else to the server.
      if (serverName !== undefined) return { kind: 'not-tls' };
      serverName = readServerName(content);
      if (serverName === undefined) return { kind: 'not-tls' };
    }
    at += 4 + size;
  }
  return { kind: 'hello', serverName, encrypted };
}

/** A list that has exactly one name; others are not in use. */
function readServerName(content: Buffer): string | undefined {
  const size = content.readUInt16BE(3);
  const exact = content.readUInt16BE(0) === size + 3 && content.length === size + 5;
  if (!exact || content.readUInt8(2) !== types.hostName) return undefined;
  const name = content.toString('latin1', 5).toLowerCase();
  return /^[a-z0-9_.-]{1,253}$/.test(name) ? name : undefined;
}
