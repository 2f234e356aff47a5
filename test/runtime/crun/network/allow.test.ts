import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Network } from '../../../../runtime/sandbox.ts';
import type { Probe } from './client/client.ts';
import { machineAddresses, makeWorld, type World } from './world.ts';
import { publicly } from './zone.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const allow = (...hosts: readonly string[]): Network => ({ kind: 'allow', hosts });
const http = (name: string, host = name): Probe => ({ kind: 'http', host, port: 80, name });
const tls = (name: string, host = name): Probe => ({ kind: 'tls', host, port: 443, name });
/** Lines of a request, and the empty one at its end. */
const raw = (...lines: readonly string[]): Probe => {
  return { kind: 'raw', host: 'public.example', port: 80, text: `${lines.join('\r\n')}\r\n\r\n` };
};
const network = allow('public.example', '*.wild.example', 'six.example', 'inside.example', 'no.example');

describe('a build with a list of hosts', () => {
  test('reaches them over HTTP and TLS, also those that have IPv6 alone', async () => {
    const { results, notices } = await world.probe(network, [
      http('public.example'),
      tls('public.example'),
      http('a.wild.example'),
      http('six.example'),
      tls('six.example'),
    ]);
    expect(results).toEqual([
      `200 public.example at ${publicly.ipv4} for ${machineAddresses.ipv4[0]}`,
      `public.example at ${publicly.ipv4}`,
      `200 a.wild.example at ${publicly.otherIPv4} for ${machineAddresses.ipv4[0]}`,
      `200 six.example at ${publicly.ipv6} for ${machineAddresses.ipv6[0]}`,
      `six.example at ${publicly.ipv6}`,
    ]);
    expect(notices).toEqual([]);
  });

  test('reaches no others, and the log names each once', async () => {
    const { results, notices } = await world.probe(network, [
      http('other.example'),
      http('other.example'),
      tls('other.example'),
      http('wild.example'),
      tls('public.example.evil.example'),
    ]);
    const forbidden = '403 cofferdam: denied other.example:80 (not in allow)';
    expect(results.slice(0, 2)).toEqual([forbidden, forbidden]);
    expect(results[2]).toBe('ERR_SSL_TLSV1_ALERT_ACCESS_DENIED');
    expect(notices.toSorted()).toEqual([
      'network: denied other.example:443 (not in allow)',
      'network: denied other.example:80 (not in allow)',
      'network: denied public.example.evil.example:443 (not in allow)',
      'network: denied wild.example:80 (not in allow)',
    ]);
  });

  test('is passed on by the name that it says, wherever it thinks that is', async () => {
    const { results } = await world.probe(network, [
      http('public.example', publicly.otherIPv4),
      tls('public.example', '10.9.9.9'),
      http('other.example', publicly.ipv4),
      tls('other.example', publicly.ipv4),
    ]);
    expect(results.slice(0, 2)).toEqual([
      `200 public.example at ${publicly.ipv4} for ${machineAddresses.ipv4[0]}`,
      `public.example at ${publicly.ipv4}`,
    ]);
    expect(results[2]).toMatch(/^403 /);
    expect(results[3]).toMatch(/ACCESS_DENIED/);
  });

  test('must say a name, and only one', async () => {
    const { results, notices } = await world.probe(network, [
      { kind: 'tls', host: publicly.ipv4, port: 443 },
      raw('GET / HTTP/1.1', 'Connection: close'),
      raw('GET / HTTP/1.0'),
      raw('GET / HTTP/1.1', 'Host: public.example', 'Host: other.example', 'Connection: close'),
      raw('GET http://other.example/ HTTP/1.1', 'Host: public.example', 'Connection: close'),
      raw('CONNECT other.example:443 HTTP/1.1', 'Host: public.example', 'Connection: close'),
      raw('hello'),
    ]);
    expect(results[0]).toBe('ERR_SSL_TLSV1_ALERT_ACCESS_DENIED');
    expect(notices).toContain('network: denied port 443 (TLS without a server name)');
    for (const answer of results.slice(1, 5)) expect(answer).toMatch(/^HTTP\/1.1 40[03] /);
    expect(results.slice(5)).toEqual(['', '']);
  });

  test('has each request on a connection looked at', async () => {
    const [answers] = (
      await world.probe(network, [
        raw('GET / HTTP/1.1', 'Host: public.example', '', 'GET / HTTP/1.1', 'Host: other.example'),
      ])
    ).results;
    expect(answers).toContain(`public.example at ${publicly.ipv4}`);
    expect(answers).toContain('denied other.example:80');
    expect(answers).not.toContain('other.example at');
  });

  test('hides no second request in the body of a first', async () => {
    const inner = 'GET / HTTP/1.1\r\nHost: other.example\r\n\r\n';
    const chunk = `${inner.length.toString(16)}\r\n${inner}`;
    const head = ['GET / HTTP/1.1', 'Host: public.example', 'Connection: close'];
    const { results } = await world.probe(network, [
      raw(...head, 'Transfer-Encoding: chunked', '', chunk, '0'),
      raw(...head, `Content-Length: ${inner.length}`, '', inner),
      raw(...head, 'Content-Length: 0', 'Transfer-Encoding: chunked', '', chunk, '0'),
    ]);
    for (const answer of results) expect(answer).not.toContain('other.example');
    for (const answer of results.slice(0, 2)) expect(answer).toContain(`public.example at ${publicly.ipv4}`);
    expect(results[2]).not.toContain('200 OK');
  });

  test('reaches no private address by a name on the list', async () => {
    const { results, notices } = await world.probe(network, [http('inside.example'), tls('no.example')]);
    expect(results[0]).toMatch(/^403 .*which builds do not reach/);
    expect(notices.toSorted()).toEqual([
      'network: denied inside.example:80 (it is at 10.9.9.9, which builds do not reach)',
      'network: denied no.example:443 (no such name)',
    ]);
  });

  test('reaches nothing by another port or protocol, by IPv6 directly, and nothing of the machine', async () => {
    const probes: readonly Probe[] = [
      { kind: 'tcp', host: publicly.ipv4, port: 22 },
      { kind: 'tcp', host: publicly.ipv4, port: 8080 },
      { kind: 'tcp', host: 'public.example', port: 8443 },
      { kind: 'tcp', host: publicly.ipv6, port: 80 },
      { kind: 'tcp', host: machineAddresses.ipv4[1], port: 6379 },
    ];
    const { results } = await world.probe(network, [
      ...probes,
      { kind: 'udp', host: publicly.ipv4, port: 7 },
    ]);
    expect(results.slice(0, 5)).toEqual([
      'ECONNREFUSED',
      'ECONNREFUSED',
      'ECONNREFUSED',
      'ENETUNREACH',
      'ECONNREFUSED',
    ]);
    expect(results[5]).not.toBe('ping');
  });

  test('asks nobody for names', async () => {
    const names = 'getent ahostsv4 public.example secret.told.by.asking.example; cat /etc/resolv.conf';
    const { output } = await world.build(network, 'sh', '-c', names);
    expect(new Set(output.match(/\d+\.\d+\.\d+\.\d+/g))).toHaveLength(1);
    expect(output).toContain('secret.told.by.asking.example');
  });
});

describe('another port', () => {
  const further = allow(
    'public.example:8443',
    'other.example:8443',
    '*.wild.example:8080',
    'public.example:22',
  );

  test('is reached where it is listed, by name', async () => {
    const { results, notices } = await world.probe(further, [
      { kind: 'tls', host: 'public.example', port: 8443, name: 'public.example' },
      { kind: 'tls', host: publicly.ipv4, port: 8443, name: 'other.example' },
      { kind: 'http', host: 'a.wild.example', port: 8080, name: 'a.wild.example:8080' },
      { kind: 'tls', host: 'a.wild.example', port: 8443, name: 'a.wild.example' },
      http('public.example'),
      { kind: 'tcp', host: 'public.example', port: 8081 },
    ]);
    expect(results).toEqual([
      `public.example at ${publicly.ipv4}`,
      `other.example at ${publicly.otherIPv4}`,
      `200 a.wild.example:8080 at ${publicly.otherIPv4} for ${machineAddresses.ipv4[0]}`,
      'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
      expect.stringMatching(/^403 /),
      'ECONNREFUSED',
    ]);
    expect(notices.toSorted()).toEqual([
      'network: denied a.wild.example:8443 (not in allow)',
      'network: denied public.example:80 (not in allow)',
    ]);
  });

  test('that one host is listed for leads to it, whatever is spoken', async () => {
    const { results } = await world.probe(further, [
      { kind: 'banner', host: 'public.example', port: 22 },
      { kind: 'banner', host: publicly.otherIPv4, port: 22 },
    ]);
    const hello = `hello from ${publicly.ipv4}`;
    expect(results).toEqual([hello, hello]);
  });

  test('is one of at most 16', async () => {
    const hosts = Array.from({ length: 17 }, (_, i) => `public.example:${8000 + i}`);
    const { error } = await world.build(allow(...hosts), 'true');
    expect(error).toMatch(/at most 16 ports/);
    expect((await world.build(allow(...hosts.slice(1)), 'true')).code).toBe(0);
  });
});

test("two builds with different lists do not use each other's", async () => {
  const [one, two] = await Promise.all([
    world.probe(allow('public.example'), [http('public.example'), http('other.example')]),
    world.probe(allow('other.example'), [http('public.example'), http('other.example')]),
  ]);
  const statuses = (results: readonly string[]) => results.map((result) => result.slice(0, 3));
  expect(statuses(one.results)).toEqual(['200', '403']);
  expect(statuses(two.results)).toEqual(['403', '200']);
});

test('a build does not get at the proxy of another', async () => {
  await world.beside(allow('public.example'), ['sleep', '1000'], async ([address = '']) => {
    const gateway = address.replace(/\d+$/, (last) => String(Number(last) - 1));
    const ports = [24_053, 24_080, 24_443];
    const probes = ports.map((port): Probe => ({ kind: 'tcp', host: gateway, port }));
    for (const other of [allow('other.example'), { kind: 'egress' } as const])
      expect((await world.probe(other, probes)).results).toEqual(ports.map(() => 'ECONNREFUSED'));
  });
});
