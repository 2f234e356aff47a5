// What builds of the tests run: tries the probes that its argument lists (JSON), prints their results in the same order.
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { get } from 'node:http';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type Probe =
  /** `connected`, or an error code; as of all, `silence` when nothing happens. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly from?: string }
  /** What comes back for `ping`; or an error code. */
  | { readonly kind: 'udp'; readonly host: string; readonly port: number }
  /** What the server writes first. */
  | { readonly kind: 'banner'; readonly host: string; readonly port: number }
  /** The body for GET /, at an address, asked of a server by another name. */
  | { readonly kind: 'http'; readonly host: string; readonly port: number; readonly name: string }
  /** What the server writes after the handshake. */
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly name?: string }
  /** All that comes back for this text, until the server ends the connection. */
  | { readonly kind: 'raw'; readonly host: string; readonly port: number; readonly text: string }
  /** Addresses, with commas between. */
  | { readonly kind: 'name'; readonly host: string };

const patienceMs = 3_000;

function attempt(probe: Probe): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const fail = (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message);
  const timer = setTimeout(resolve, patienceMs, 'silence');
  const { host } = probe;
  if (probe.kind === 'tcp') {
    const { port, from } = probe;
    const socket = connect({ host, port, ...(from !== undefined && { localAddress: from }) });
    socket.on('error', fail).on('connect', () => resolve('connected'));
  } else if (probe.kind === 'banner') {
    connect(probe.port, host)
      .on('error', fail)
      .on('data', (data) => resolve(String(data)));
  } else if (probe.kind === 'raw') {
    let answer = '';
    const socket = connect(probe.port, host).on('error', fail);
    socket.on('data', (data) => {
      answer += String(data);
    });
    socket.on('close', () => resolve(answer)).write(probe.text);
  } else if (probe.kind === 'udp') {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', fail).on('message', (data) => resolve(String(data)));
    socket.connect(probe.port, host, () => setInterval(() => socket.send('ping'), 200));
  } else if (probe.kind === 'http') {
    const request = get({ host, port: probe.port, headers: { host: probe.name } }, (response) => {
      let body = '';
      response.on('data', (data: Buffer) => {
        body += String(data);
      });
      response.on('end', () => resolve(`${response.statusCode} ${body.trim()}`)).on('error', fail);
    });
    request.on('error', fail);
  } else if (probe.kind === 'tls') {
    const { port, name } = probe;
    const socket = connectTls({
      host,
      port,
      rejectUnauthorized: false,
      ...(name !== undefined && { servername: name }),
    });
    socket.on('error', fail).on('data', (data) => resolve(String(data)));
    socket.on('close', () => resolve('closed'));
  } else {
    lookup(host, { all: true }).then((found) => resolve(found.map(({ address }) => address).join()), fail);
  }
  return promise.finally(() => clearTimeout(timer));
}

const probes: readonly Probe[] = JSON.parse(process.argv[2] ?? '[]');
process.stdout.write(JSON.stringify(await Promise.all(probes.map(attempt))));
process.exit();
