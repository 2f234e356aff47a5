import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectRedis } from '../../../src/redis.ts';
import { certificateFor } from '../../git/tls.ts';
import { freePort } from '../client/server.ts';
import { startRedis, type TestRedis } from '../../redis.ts';
import { type Directory, temporaryDirectory } from '../../workers/directory.ts';

let files: Directory;
let redis: TestRedis;
let port: number;
beforeAll(async () => {
  files = temporaryDirectory();
  const [server, other] = await Promise.all([certificateFor('localhost'), certificateFor('localhost')]);
  files.write({ key: server.key, 'ca.pem': server.cert, 'other.pem': other.cert, nothing: 'none' });
  port = await freePort();
  redis = await startRedis(
    [
      ['--tls-port', String(port), '--bind', '127.0.0.1', '--tls-auth-clients', 'no'],
      ['--tls-cert-file', join(files.path, 'ca.pem'), '--tls-key-file', join(files.path, 'key')],
      ['--tls-ca-cert-file', join(files.path, 'ca.pem')],
    ].flat(),
  );
});
afterAll(async () => {
  await redis.stop();
  files[Symbol.dispose]();
});

const connect = (caName: string | undefined, url = `rediss://localhost:${port}`) =>
  connectRedis({ url, prefix: 'tls', ...(caName !== undefined && { caFile: join(files.path, caName) }) });

describe('a rediss:// server whose certificate is of our own CA', () => {
  test('is used when the CA is named, by every connection', async () => {
    const handle = await connect('ca.pem');
    try {
      await handle.client.set(`${handle.prefix}key`, 'value');
      expect(await handle.duplicate('test').get(`${handle.prefix}key`)).toBe('value');
    } finally {
      await handle.close();
    }
  });

  test.each([
    [undefined, /self-signed certificate.*name its certificate by COFFERDAM_REDIS_CA/],
    ['other.pem', /self-signed certificate|signature failure/],
    ['nothing', /nothing \(COFFERDAM_REDIS_CA\) has no certificate; name a PEM file/],
    ['missing', /cannot read COFFERDAM_REDIS_CA: ENOENT/],
  ])('is refused with %s for the CA', async (caName, message) => {
    await expect(connect(caName)).rejects.toThrow(message);
  });

  test('is refused under another name than the one in the certificate', async () => {
    const connecting = connect('ca.pem', `rediss://127.0.0.1:${port}`);
    await expect(connecting).rejects.toThrow(/does not match certificate's altnames/);
  });

  test('is not asked without TLS although a CA is named', async () => {
    const connecting = connect('ca.pem', `redis://:s3cret@localhost:${port}`);
    await expect(connecting).rejects.toThrow(/COFFERDAM_REDIS_CA is for rediss:\/\//);
    await expect(connecting).rejects.not.toThrow(/s3cret/);
  });
});
