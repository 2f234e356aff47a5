// The servers of the internet, as far as the tests have one: listens on all addresses of the network namespace that it
// was started in, and says `ready`.
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type Answer, decode, encode } from 'dns-packet';
import { certificateFor } from '../../../git/tls.ts';
import { publicly, zone } from './zone.ts';

// It ends with whoever started it.
process.stdin.resume().on('end', () => process.exit());

function answer(query: Buffer, transport: 'udp' | 'tcp'): Buffer {
  const { id = 0, questions = [] } = decode(query);
  const [question] = questions;
  const records: readonly Answer[] = (zone[question?.name ?? ''] ?? []).filter(
    ({ type }) => type === question?.type,
  );
  const known = (question?.name ?? '') in zone;
  const flags = 0x0180 | (known ? 0 : 3);
  const whole = encode({ type: 'response', id, flags, questions, answers: [...records] });
  // Truncated (RFC 1035, 4.1.1): to be asked again over TCP.
  return transport === 'tcp' || whole.length <= 512
    ? whole
    : encode({ type: 'response', id, flags: flags | 0x0200, questions });
}

// Bound to one address each: else the kernel would choose the one that answers come from.
const names = createSocket('udp4');
names.on('message', (query, from) => names.send(answer(query, 'udp'), from.port, from.address));
names.bind(53, publicly.nameServer);
createServer((socket) => {
  socket
    .on('error', () => {})
    .on('data', (data) => {
      const reply = answer(data.subarray(2), 'tcp');
      socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]));
    });
}).listen(53, '::');

for (const [family, address] of [
  ['udp4', publicly.ipv4],
  ['udp4', '10.9.9.9'],
  ['udp6', publicly.ipv6],
] as const) {
  const echo = createSocket(family);
  echo.on('message', (data, from) => echo.send(data, from.port, from.address)).bind(7, address);
}

const plain = (address = '') => address.replace('::ffff:', '');
for (const port of [80, 8080]) {
  createHttpServer((request, response) => {
    response.end(
      `${request.headers.host} at ${plain(request.socket.localAddress)} for ${plain(request.socket.remoteAddress)}`,
    );
  }).listen(port, '::');
}
const certificate = await certificateFor('public.example');
for (const port of [443, 8443]) {
  createTlsServer(certificate, (socket: TLSSocket) => {
    socket.on('error', () => {}).write(`${String(socket.servername)} at ${plain(socket.localAddress)}`);
  })
    .on('tlsClientError', () => {})
    .listen(port, '::');
}
createServer((socket: Socket) => {
  socket.on('error', () => {}).write(`hello from ${plain(socket.localAddress)}`);
}).listen(22, '::', () => process.stdout.write('ready\n'));
