import { expect, test } from 'vitest';
import { lab, shell, start, tell } from './lab.ts';
import { debian } from '../../rootfs.ts';

const own = '127.0.0.1 localhost cofferdam\n::1 localhost ip6-localhost\n';

test('a container knows itself, and further names that it is given', async () => {
  await using place = lab();
  const sandbox = place.open();
  const hosts = { db: '127.0.0.1', 'cache.internal': '::1' };
  const named = sandbox.start({ name: 'named', root: debian, hosts });
  const told = await tell(named, shell('cat /etc/hosts; getent hosts db cache.internal'));
  expect(told.output).toContain(`${own}127.0.0.1 db\n::1 cache.internal\n`);
  expect(told.output).toMatch(/127\.0\.0\.1 +db\n::1 +cache\.internal\n$/);
  // Each has its own.
  expect((await tell(start(sandbox), shell('cat /etc/hosts'))).output).toBe(own);
});

test.each([
  ['a b', '127.0.0.1'],
  ['db\n127.0.0.1', '127.0.0.1'],
  ['', '127.0.0.1'],
  ['db', 'localhost'],
])('%j at %j is refused', async (name, address) => {
  await using place = lab();
  const sandbox = place.open();
  expect(() => sandbox.start({ name: 'named', root: debian, hosts: { [name]: address } })).toThrow(
    /container named: not a host name and its address/,
  );
});

test('no container can change how it finds addresses, whoever it is', async () => {
  await using place = lab();
  const tries = `
    for file in /etc/hosts /etc/resolv.conf; do
      echo 127.0.0.1 example.org >>$file; rm -f $file; mv /etc/passwd $file; umount $file; mount -o remount,rw $file
    done 2>/dev/null; cat /etc/hosts /etc/resolv.conf; ls /etc/passwd`;
  expect((await tell(start(place.open()), shell(tries))).output).toBe(`${own}/etc/passwd\n`);
});
