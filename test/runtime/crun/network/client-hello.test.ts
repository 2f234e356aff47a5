import { once } from 'node:events';
import { createServer } from 'node:net';
import { connect } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { readClientHello } from '../../../../runtime/crun/network/client-hello.ts';

/** The first thing that Node's TLS (OpenSSL) sends. */
async function helloTo(servername: string | undefined, options: object = {}): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => socket.on('error', () => {}).once('data', resolve));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no address');
  const name = servername === undefined ? {} : { servername };
  const client = connect({ host: '127.0.0.1', port: address.port, ...name, ...options });
  client.on('error', () => {});
  const bytes = await promise;
  client.destroy();
  server.close();
  return bytes;
}

let hello: Buffer;
beforeAll(async () => {
  hello = await helloTo('Packages.Example.org');
});

const expected = { kind: 'hello', serverName: 'packages.example.org', encrypted: false };

/** The handshake message in records of a size. */
function inRecords(bytes: Buffer, size: number): Buffer {
  const message = bytes.subarray(5);
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    const header = Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]);
    parts.push(header, part);
  }
  return Buffer.concat(parts);
}

/** With one more extension. */
function extended(bytes: Buffer, type: number, content: Buffer): Buffer {
  const message = Buffer.from(bytes.subarray(5));
  let at = 4 + 34;
  at += 1 + message.readUInt8(at);
  at += 2 + message.readUInt16BE(at);
  at += 1 + message.readUInt8(at);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(content.length, 2);
  const longer = Buffer.concat([message, head, content]);
  const more = head.length + content.length;
  longer.writeUInt16BE(longer.readUInt16BE(at) + more, at);
  longer.writeUIntBE(longer.readUIntBE(1, 3) + more, 1, 3);
  const record = Buffer.from([22, 3, 1, longer.length >> 8, longer.length & 255]);
  return Buffer.concat([record, longer]);
}

describe('the server name of a ClientHello', () => {
  test('is read', () => {
    expect(readClientHello(hello)).toEqual(expected);
  });

  test('is read with whatever comes behind it', () => {
    expect(readClientHello(Buffer.concat([hello, Buffer.from('early data')]))).toEqual(expected);
  });

  test('is read from any number of records', () => {
    for (let size = 1; size < hello.length; size += 1 + (size >> 2))
      expect(readClientHello(inRecords(hello, size)), String(size)).toEqual(expected);
  });

  test('is not known before all is there', () => {
    for (let size = 0; size < hello.length; size++)
      expect(readClientHello(hello.subarray(0, size)), String(size)).toEqual({ kind: 'partial' });
  });

  test('may be missing', async () => {
    expect(readClientHello(await helloTo(undefined))).toEqual({ ...expected, serverName: undefined });
  });

  test('is that of TLS 1.2 too', async () => {
    expect(readClientHello(await helloTo('a.example', { maxVersion: 'TLSv1.2' }))).toEqual({
      ...expected,
      serverName: 'a.example',
    });
  });

  test('says whether another may be hidden', () => {
    expect(readClientHello(extended(hello, 0xfe0d, Buffer.alloc(80)))).toEqual({
      ...expected,
      encrypted: true,
    });
  });

  test.each([
    ['a second name', Buffer.from('000c000009 6f746865722e6f7267'.replace(' ', ''), 'hex')],
    ['a second, empty list', Buffer.alloc(0)],
  ])('counts as none with %s', (_, content) => {
    expect(readClientHello(extended(hello, 0, content))).toEqual({ kind: 'not-tls' });
  });

  test.each([
    'GET / HTTP/1.1\r\n',
    'SSH-2.0-OpenSSH\r\n',
    '\x16\x02\x00\x00\x05hello',
    '\x15\x03\x03\x00\x02\x02\x49',
  ])('is not in %o', (text) => {
    expect(readClientHello(Buffer.from(text, 'latin1'))).toEqual({ kind: 'not-tls' });
  });

  test('no change of a byte makes it throw, or makes up a name with other characters', () => {
    for (let at = 0; at < hello.length; at++)
      for (const value of [0, 1, 46, 127, 255]) {
        const changed = Buffer.from(hello);
        changed[at] = value;
        const read = readClientHello(changed);
        if (read.kind === 'hello') expect(read.serverName ?? 'none').toMatch(/^[a-z0-9_.-]+$/);
      }
  });
});
