import { expect, test, vi } from 'vitest';
import { SandboxError } from '../../../runtime/sandbox.ts';
import { lab, shell, start } from './lab.ts';

/** A server in perl, which every Debian has: it waits, listens, and answers each client with the text. */
const server = (
  address: string,
  text: string,
  waitSeconds = 0,
) => `sleep ${waitSeconds}; exec perl -MIO::Socket::IP -e '
  $| = 1; $s = IO::Socket::IP->new(LocalHost => "${address}", LocalPort => 80, Listen => 5, ReuseAddr => 1) or die $@;
  while ($c = $s->accept) { sysread($c, $_, 4096); print $c "${text}"; print "asked: $_"; close $c }'`;

const never = () => new AbortController().signal;
const after = (ms: number) => AbortSignal.timeout(ms);

test.each([
  ['IPv4', '127.0.0.1'],
  ['IPv6', '::1'],
])('a port answers on %s once something listens, and not before', async (_, address) => {
  await using place = lab();
  const sandbox = place.open();
  const box = start(sandbox);
  await expect(sandbox.answers({ kind: 'tcp', port: 80 }, after(200))).rejects.toThrow(/timeout/i);
  const began = performance.now();
  void box.run(shell(server(address, '', 0.5)), () => {}).catch(() => {});
  await sandbox.answers({ kind: 'tcp', port: 80 }, never());
  expect(performance.now() - began).toBeGreaterThan(500);
});

test.each([
  ['200 OK', 'resolves'],
  ['204 No Content', 'resolves'],
  ['302 Found', 'resolves'],
  ['404 Not Found', 'waits'],
  ['503 Service Unavailable', 'waits'],
])('http with the status %s %s', async (status, what) => {
  await using place = lab();
  const sandbox = place.open();
  let asked = '';
  void start(sandbox)
    .run(
      shell(server('127.0.0.1', `HTTP/1.1 ${status}\\r\\n\\r\\n`)),
      (chunk) => void (asked += chunk.toString()),
    )
    .catch(() => {});
  const probe = { kind: 'http', port: 80, path: '/health?x=1' } as const;
  if (what === 'resolves') await sandbox.answers(probe, never());
  else await expect(sandbox.answers(probe, after(1000))).rejects.toThrow(/timeout/i);
  const request = 'asked: GET /health?x=1 HTTP/1.1\r\nHost: localhost\r\n';
  await vi.waitFor(() => expect(asked).toContain(request), { timeout: 5000 });
});

test('a server can send all that it has to say', async () => {
  await using place = lab();
  const sandbox = place.open();
  let said = '';
  // It is asked, begins to answer, and learns by the next write whether its client is still there.
  const slow = `perl -MIO::Socket::IP -e '
    $| = 1; $SIG{PIPE} = "IGNORE"; $s = IO::Socket::IP->new(LocalHost => "127.0.0.1", LocalPort => 80, Listen => 5) or die $@;
    $c = $s->accept; sysread($c, $_, 4096); print $c "HTTP/1.1 200 OK\r\n\r\n"; $c->flush;
    print $c "x" x 300_000; print $c->flush ? "all sent" : "cut off: $!"; close $c'`;
  const ended = start(sandbox).run(shell(slow), (chunk) => void (said += chunk.toString()));
  await sandbox.answers({ kind: 'http', port: 80, path: '/' }, never());
  await ended;
  expect(said).toBe('all sent');
});

test.each([
  ['nothing', ''],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2p1 200'],
  ['half of a status', 'HTTP/1.1 2'],
  ['more than anybody reads', `HTTP/1.1 500 ${'x'.repeat(100_000)}`],
])('a server that says %s is not well', async (_, text) => {
  await using place = lab();
  const sandbox = place.open();
  void start(sandbox)
    .run(shell(server('127.0.0.1', text)), () => {})
    .catch(() => {});
  await sandbox.answers({ kind: 'tcp', port: 80 }, never());
  await expect(sandbox.answers({ kind: 'http', port: 80, path: '/' }, after(500))).rejects.toThrow(
    /timeout/i,
  );
});

test('whoever asks hears that the sandbox is gone; and files can be read after asking', async () => {
  await using place = lab();
  const sandbox = place.open();
  const asking = expect(sandbox.answers({ kind: 'tcp', port: 1 }, never())).rejects.toThrow(SandboxError);
  const other = place.open();
  await expect(other.answers({ kind: 'tcp', port: 1 }, after(100))).rejects.toThrow();
  expect(await other.list([''], 10)).toEqual([]);
  await sandbox.destroy();
  await asking;
});
