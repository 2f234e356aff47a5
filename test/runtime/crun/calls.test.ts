import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { lab, sh } from './lab.ts';

const { EPERM, ENOSYS, EINVAL, EAFNOSUPPORT, ECONNREFUSED } = constants.errno;

const expected: Record<string, number> = {
  ...Object.fromEntries(
    ['20000', '2000000', '4000000', '8000000', '10000000', '20000000', '40000000'].flatMap((flag) => [
      [`unshare-${flag}`, EPERM],
      [`clone-${flag}`, EPERM],
    ]),
  ),
  clone3: ENOSYS,
  ...Object.fromEntries(
    `setns mount umount2 pivot_root open_tree move_mount fsopen mount_setattr bpf perf_event_open userfaultfd keyctl
    add_key request_key open_by_handle_at process_madvise vmsplice reboot kexec_load init_module syslog clock_settime
    settimeofday sethostname swapon mbind TIOCSTI mknod-char mknod-block`
      .split(/\s+/)
      .map((name) => [name, EPERM]),
  ),
  io_uring_setup: ENOSYS,
  io_uring_register: ENOSYS,
  unknown: ENOSYS,
  personality: EINVAL,
  'setuid-beyond': EINVAL,
  'socket-alg': EAFNOSUPPORT,
  'socket-vsock': EAFNOSUPPORT,
  'socket-packet': EAFNOSUPPORT,
  'socket-xdp': EAFNOSUPPORT,
  // By the missing CAP_NET_RAW.
  'socket-raw': EPERM,
  ...(process.arch === 'x64' && { x32: ENOSYS, int80: ENOSYS }),
  // The socket is of another network namespace.
  'abstract-socket': ECONNREFUSED,
  ptrace: 0,
  chroot: 0,
  mkfifo: 0,
  'socket-tcp': 0,
  'socket-route': 0,
};

test('calls that could lead out of the sandbox are refused, and others work', async () => {
  await using place = lab();
  const name = `cofferdam-test-${process.pid}`;
  const server = createServer().listen(`\0${name}`);
  await once(server, 'listening');
  try {
    const source = join(import.meta.dirname, 'calls.c');
    await run({ file: 'cc', args: ['-static', '-w', '-o', join(place.scratch, 'calls'), source] });
    const told = await sh(place.open({ workspace: { sources: [place.scratch] } }), `./calls ${name}`);
    const got = Object.fromEntries(
      told.output
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([call = '', errno]) => [call, Number(errno)]),
    );
    expect(got).toEqual(expected);
  } finally {
    server.close();
  }
});
