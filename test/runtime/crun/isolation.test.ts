import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { idRange } from '../../../runtime/crun/driver.ts';
import { ext4Limits, lab, sh, shell, start, tell, type Told } from './lab.ts';

const lines = (text: string) => text.trim().split('\n').filter(Boolean);

interface Mount {
  readonly point: string;
  readonly flags: readonly string[];
  readonly propagation: string;
  readonly type: string;
  readonly source: string;
}

/** proc_pid_mountinfo(5) */
function parseMounts(text: string): Mount[] {
  return lines(text).map((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , , point = '', flags = '', ...propagation] = left.split(' ');
    const [type = '', source = ''] = right.split(' ');
    return { point, flags: flags.split(','), propagation: propagation.join(' '), type, source };
  });
}

describe('ids', () => {
  test('root inside is an id of a range that no account has', async () => {
    await using place = lab();
    const told = await sh(place.open(), 'cat /proc/self/uid_map /proc/self/gid_map');
    const maps = lines(told.output).map((line) => line.trim().split(/\s+/).map(Number));
    expect(maps).toHaveLength(2);
    for (const [inside, outside = 0, count] of maps) {
      expect([inside, count]).toEqual([0, 65_536]);
      expect(outside).toBeGreaterThanOrEqual(idRange.first);
      expect((outside - idRange.first) % 65_536).toBe(0);
    }
  });

  test('differ between sandboxes that run at once', async () => {
    await using place = lab();
    const maps = await Promise.all(
      Array.from({ length: 8 }, () => sh(place.open(), 'cat /proc/self/uid_map; sleep 0.5')),
    );
    expect(new Set(maps.map(({ output }) => output)).size).toBe(8);
  });

  test('of source files become those of the build', async () => {
    await using place = lab();
    writeFileSync(join(place.scratch, 'mine'), '');
    const told = await sh(
      place.open({ workspace: { sources: [place.scratch] } }),
      'stat -c "%u %g" . mine; id -u >mine',
    );
    expect(told).toEqual({ exit: { reason: 'exit', code: 0 }, output: '0 0\n0 0\n' });
  });
});

test('a process has 11 capabilities, none to inherit, no new privileges and the filter', async () => {
  await using place = lab();
  const { output } = await sh(place.open(), 'cat /proc/self/status');
  const field = (name: string) => output.match(new RegExp(`^${name}:\\s+(\\w+)`, 'm'))?.[1];
  // capabilities(7): CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, KILL 5, SETGID 6, SETUID 7, SETPCAP 8,
  // NET_BIND_SERVICE 10, SYS_CHROOT 18, SETFCAP 31
  const mask = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31].reduce((sum, bit) => sum + 2 ** bit, 0);
  const wanted = mask.toString(16).padStart(16, '0');
  expect(['CapEff', 'CapPrm', 'CapBnd'].map(field)).toEqual([wanted, wanted, wanted]);
  expect(['CapInh', 'CapAmb'].map(field)).toEqual(['0'.repeat(16), '0'.repeat(16)]);
  expect([field('NoNewPrivs'), field('Seccomp')]).toEqual(['1', '2']);
});

test('a command has the environment that it was given, and no other', async () => {
  await using place = lab();
  const told = await sh(place.open(), '', {
    args: ['/usr/bin/env'],
    env: { A: '1', B: 'two\nlines', PATH: '/x' },
  });
  expect(told.output).toBe('A=1\nB=two\nlines\nPATH=/x\n');
});

test('a command has three descriptors: nothing to read, and one pipe', async () => {
  await using place = lab();
  const told = await sh(place.open(), '', { args: ['ls', '-l', '/proc/self/fd'] });
  const targets = lines(told.output).flatMap(
    (line) =>
      line
        .match(/(\d+) -> (.*)/)
        ?.slice(1)
        .join(' ') ?? [],
  );
  expect(targets).toEqual([
    '0 /dev/null',
    expect.stringMatching(/^1 pipe:/),
    expect.stringMatching(/^2 pipe:/),
    // ls itself
    expect.stringMatching(/^3 \/proc\/\d+\/fd$/),
  ]);
  expect(targets[1]?.slice(1)).toBe(targets[2]?.slice(1));
});

test('only processes of the container are seen', async () => {
  await using place = lab();
  const sandbox = place.open();
  const seen = Promise.withResolvers<Told>();
  const other = start(sandbox).run(shell('echo up; exec sleep 1000'), () => {
    seen.resolve(sh(sandbox, 'for f in /proc/[0-9]*/comm; do cat $f; done; hostname'));
  });
  const destroyed = expect(other).rejects.toThrow(/destroyed/);
  expect((await seen.promise).output).toBe('init\nsh\ncofferdam\n');
  await sandbox.destroy();
  await destroyed;
});

describe('mounts', () => {
  test.each([{}, { limits: ext4Limits }])('have the flags that they should (%o)', async (options) => {
    await using place = lab();
    const mounts = parseMounts((await sh(place.open(options), 'cat /proc/self/mountinfo')).output);
    for (const { point, flags, propagation, type } of mounts) {
      expect(propagation, point).toBe('');
      // The root may have set-user-id programs, which no-new-privileges disarms; parts of /proc and /sys are masked
      // by read-only mounts of their own.
      const part = /^\/(proc|sys)\//.test(point);
      if (point !== '/' && !part) expect(flags, point).toContain('nosuid');
      const devices = ['devtmpfs', 'devpts'].includes(type) || point === '/dev';
      if (!part && !devices) expect(flags, point).toContain('nodev');
      if (part || point === '/sys' || point === '/run/.cofferdam/init') expect(flags, point).toContain('ro');
    }
    const writable = mounts.filter(({ flags, type }) => !flags.includes('ro') && type !== 'devtmpfs');
    expect(writable.map(({ point }) => point).sort()).toEqual([
      '/',
      '/dev',
      '/dev/mqueue',
      '/dev/pts',
      '/dev/shm',
      '/proc',
      '/run/secrets',
      '/workspace',
    ]);
  });

  test('hide what tells about the host: each is /dev/null or an empty read-only tmpfs', async () => {
    await using place = lab();
    const box = start(place.open());
    const paths = lines(
      (
        await tell(
          box,
          shell(
            `ls -d /proc/acpi /proc/asound /proc/config.gz /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats \
        /proc/sched_debug /proc/scsi /proc/timer_list /proc/timer_stats /sys/dev/block /sys/devices/virtual/powercap \
        /sys/firmware /sys/fs/selinux /sys/devices/system/cpu/cpu*/thermal_throttle 2>/dev/null`,
          ),
        )
      ).output,
    );
    expect(paths.length).toBeGreaterThan(4);
    const mounts = parseMounts((await tell(box, shell('cat /proc/self/mountinfo'))).output);
    for (const path of paths) {
      const mask = mounts.find(({ point }) => point === path);
      expect(['devtmpfs', 'tmpfs'], path).toContain(mask?.type);
      const told = await tell(
        box,
        shell(`if [ -d ${path} ]; then ls -A ${path}; else head -c 100 ${path}; fi`),
      );
      expect(told, path).toEqual({ exit: { reason: 'exit', code: 0 }, output: '' });
    }
  });

  test('make parts of /proc read-only, as far as this kernel has them', async () => {
    await using place = lab();
    const box = start(place.open());
    const parts = '/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger';
    const present = lines((await tell(box, shell(`ls -d ${parts} 2>/dev/null`))).output);
    const mounts = parseMounts((await tell(box, shell('cat /proc/self/mountinfo'))).output);
    expect(present).toContain('/proc/sys');
    for (const part of present) {
      expect(mounts.find(({ point }) => point === part)?.flags, part).toContain('ro');
    }
  });

  test('let nothing of the kernel be written', async () => {
    await using place = lab();
    const told = await sh(
      place.open(),
      `find /proc/sys /sys /proc/irq /proc/bus /proc/fs /proc/sysrq-trigger -type f -writable 2>/dev/null
      for f in /proc/sys/kernel/hostname /proc/sys/vm/drop_caches /sys/kernel/mm/ksm/run /proc/sysrq-trigger; do
        if [ -e $f ] && echo 1 >$f; then echo wrote $f; fi
      done 2>/dev/null; ls /sys/fs/cgroup`,
    );
    expect(told.output).toBe('');
  });

  test('show no path of the data directory', async () => {
    await using place = lab();
    const told = await sh(
      place.open({ workspace: { sources: [place.scratch] } }),
      'cat /proc/self/mountinfo /proc/mounts',
    );
    expect(told.output).not.toContain(place.dataDir);
  });
});

test('/dev has what builds need', async () => {
  await using place = lab();
  const told = await sh(
    place.open(),
    'ls /dev; echo x >/dev/null; head -c 4 /dev/zero | od -An -tx1; head -c 1 /dev/full | wc -c; head -c 4 /dev/urandom | wc -c; echo x >/dev/full',
  );
  expect(told.output).toBe(
    'core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n' +
      ' 00 00 00 00\n1\n4\n/bin/sh: 1: echo: echo: I/O error\n',
  );
});

test('nothing of the host is found by any way that leads up or through /proc', async () => {
  await using place = lab();
  const canary = join(place.scratch, 'canary-outside');
  writeFileSync(canary, 'alive');
  const inner = join(place.scratch, 'inner');
  mkdirSync(inner);
  const told = await sh(
    place.open({ workspace: { sources: [inner] } }),
    `for base in '' ../../../../../.. /proc/1/root /proc/1/cwd /proc/self/root /proc/self/cwd/../../.. /dev/fd/3 /proc/1/fd/3; do
      cat "$base${canary}" 2>/dev/null
    done
    cat ../canary-outside 2>/dev/null
    find / -xdev -name canary-outside 2>/dev/null; true`,
  );
  expect(told).toEqual({ exit: { reason: 'exit', code: 0 }, output: '' });
});

describe('the network', () => {
  test('is a loopback that is up, and nothing else', async () => {
    await using place = lab();
    const told = await sh(
      place.open(),
      'ls /sys/class/net; cat /sys/class/net/lo/flags; cat /proc/net/route | wc -l',
    );
    expect(told.output).toBe('lo\n0x9\n1\n');
  });

  test('leads nowhere: neither to the host nor beyond', async () => {
    await using place = lab();
    const server = createServer((socket) => socket.end('reached')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    try {
      const script = ['127.0.0.1', '::1', '10.0.0.1', '169.254.169.254', '192.0.2.1']
        .map((host) => `(timeout 2 bash -c 'cat </dev/tcp/${host}/${port}') 2>&1 | head -1`)
        .join('\n');
      const told = await sh(place.open(), script);
      expect(lines(told.output)).toEqual([
        expect.stringContaining('Connection refused'),
        expect.stringContaining('Connection refused'),
        expect.stringContaining('Network is unreachable'),
        expect.stringContaining('Network is unreachable'),
        expect.stringContaining('Network is unreachable'),
      ]);
    } finally {
      server.close();
    }
  });

  test('is shared by the containers of a sandbox', async () => {
    await using place = lab();
    const sandbox = place.open();
    const listen = `exec perl -MIO::Socket::INET -e '
      $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:4000", Listen => 1) or die $!;
      $| = 1; print "up\\n"; $s->accept->print("hello\\n")'`;
    const up = Promise.withResolvers<void>();
    const server = start(sandbox).run(shell(listen), () => up.resolve());
    await up.promise;
    expect((await sh(sandbox, "bash -c 'cat </dev/tcp/localhost/4000'")).output).toBe('hello\n');
    expect((await server).code).toBe(0);
  });
});
