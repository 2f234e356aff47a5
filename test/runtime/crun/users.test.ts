import { expect, test } from 'vitest';
import { lab, sh } from './lab.ts';

test.each([
  ['', '0 0 0'],
  ['root', '0 0 0'],
  ['0', '0 0 0'],
  ['nobody', '65534 65534 65534'],
  ['www-data', '33 33 33'],
  ['www-data:mail', '33 8 8'],
  ['www-data:12', '33 12 12'],
  // A number needs no entry, and brings no group.
  ['33', '33 0 0'],
  ['1000', '1000 0 0'],
  ['1000:1001', '1000 1001 1001'],
  ['1000:mail', '1000 8 8'],
  ['65535:65535', '65535 65535 65535'],
])('USER %j is %s', async (user, ids) => {
  await using place = lab();
  const told = await sh(place.open(), 'echo $(id -u) $(id -g) $(id -G)', { user });
  expect(told).toEqual({ exit: { reason: 'exit', code: 0 }, output: `${ids}\n` });
});

test.each([
  'no-such-user',
  '65536',
  '-1',
  '99999999999999999999',
  'www-data:no-such-group',
  ':',
  '1000:',
  'root:x:0',
  ' ',
])('USER %j cannot be', async (user) => {
  await using place = lab();
  const told = await sh(place.open(), 'id', { user });
  expect(told).toEqual({
    exit: { reason: 'exit', code: 126 },
    output: "cofferdam: the image's user: not found\n",
  });
});

test.each(['', '1000:1000'])('user %j can open /dev/stdout and /dev/stderr by name', async (user) => {
  await using place = lab();
  const told = await sh(
    place.open(),
    'echo out >/dev/stdout; echo err >/dev/stderr; echo fd >/proc/self/fd/1',
    { user },
  );
  expect(told.output).toBe('out\nerr\nfd\n');
});

test('a user has no capabilities, and a set-user-id program gives none', async () => {
  await using place = lab();
  const sandbox = place.open();
  expect((await sh(sandbox, 'cp /usr/bin/id /opt/id; chmod u+s /opt/id')).exit.code).toBe(0);
  const told = await sh(
    place.open(),
    'cp /usr/bin/id /opt/id && chmod 4755 /opt/id && exec setpriv --reuid 1000 --clear-groups /opt/id -u',
  );
  expect(told.output).toBe('1000\n');
  const own = await sh(sandbox, 'grep ^Cap /proc/self/status', { user: '1000:1000' });
  for (const line of own.output.trim().split('\n')) {
    if (!line.startsWith('CapBnd')) expect(line).toMatch(/0000000000000000$/);
  }
});
