import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { Hosts } from '../../../workers/git/addresses.ts';
import { requestChecked, requestPinned, textOf } from '../../../workers/git/http.ts';

describe('where a server may send a worker', () => {
  test.each<[string, Hosts, RegExp]>([
    ['http://example.org/x', 'public', /no https/],
    ['https://example.org/x', 'public', /must not reach/],
    ['https://10.0.0.1/x', 'public', /must not reach/],
    ['https://0x0a.1/x', 'public', /10\.0\.0\.1, which/],
    ['https://[::ffff:10.0.0.1]/x', 'public', /must not reach/],
    ['https://token@example.org/x', 'internal', /login/],
    ['ftp://example.org/x', 'internal', /no https/],
    ['//example.org/x', 'internal', /no https/],
    ['http://169.254.169.254/?token=hunter22', 'internal', /must not reach/],
  ])('not to %s of a repository on %s hosts', async (url, hosts, reason) => {
    const look = () => Promise.resolve(['10.0.0.1']);
    const sent = requestChecked({ method: 'GET', url, hosts, look });
    await expect(sent).rejects.toMatchObject({ kind: 'refused', message: expect.stringMatching(reason) });
    await expect(sent).rejects.not.toThrow(/hunter22|token/);
  });
});

test('a name is never looked up again: the address is the one that was checked', async () => {
  const server = createServer((request, response) => response.end(request.headers.host));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  try {
    const url = new URL(`http://no-such-host.invalid:${port}/`);
    const response = await requestPinned({ method: 'GET', url, addresses: ['127.0.0.1'] });
    expect(await textOf(response, 100)).toBe(url.host);
    const long = await requestPinned({ method: 'GET', url, addresses: ['127.0.0.1'] });
    await expect(textOf(long, 5)).rejects.toMatchObject({ kind: 'unreachable' });
  } finally {
    server.close();
  }
});
