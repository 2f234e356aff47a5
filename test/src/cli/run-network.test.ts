import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../workers/directory.ts';
import { cofferdam, image, makeImage, script } from './cofferdam.ts';

beforeAll(makeImage, 300_000);

const interfaces = 'cd /sys/class/net && echo *';

/** Runs a workflow of one step. */
async function runWorkflow(network: string, command: string) {
  using source = temporaryDirectory();
  const steps = [{ name: 'ask', commands: [command] }];
  source.write({ '.cofferdam.yaml': JSON.stringify({ image, network: JSON.parse(network), steps }) });
  return await cofferdam(['run', source.path]);
}

describe('a build on this machine', () => {
  test('has a network when its workflow says nothing', async () => {
    expect((await cofferdam(script(interfaces))).stdout.toString()).toBe('eth0 lo\n');
  });

  test.each([
    ['"egress"', 'eth0 lo'],
    ['"none"', 'lo'],
    ['{"allow":["example.org"]}', 'eth0 lo'],
  ])('has the network that it asks for (%s)', async (network, links) => {
    expect((await runWorkflow(network, interfaces)).stdout.toString()).toContain(`${links}\n`);
  });

  test('reads in its log what it was denied, once, and where', async () => {
    // Whatever the address, the proxy goes by the name; so this needs no internet.
    const ask = `bash -c 'for i in 1 2; do
      exec 3<>/dev/tcp/198.51.100.7/80
      printf "GET / HTTP/1.0\\\\r\\\\nHost: example.com\\\\r\\\\n\\\\r\\\\n" >&3
      cat <&3
    done'`;
    const { code, stdout, stderr } = await runWorkflow('{"allow":["example.org"]}', ask);
    expect(code).toBe(0);
    const log = stdout.toString() + stderr;
    expect(log.split('[cofferdam: network: denied example.com:80 (not in allow)]')).toHaveLength(2);
    expect(log).toContain('HTTP/1.1 403 Forbidden');
  });

  test('reaches no service of the machine', async () => {
    const ask = `bash -c 'read -r _ gateway </etc/resolv.conf; exec 3<>/dev/tcp/$gateway/22'`;
    const { code, stdout } = await runWorkflow('"egress"', ask);
    expect(code).toBe(1);
    expect(stdout.toString()).toContain('Connection refused');
  });
});
