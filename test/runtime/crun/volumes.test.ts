import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { type Sandbox, SandboxError, type Snapshot, type Volume } from '../../../runtime/sandbox.ts';
import { ext4Limits, lab, type Lab, overlays, sh, shell, smallLimits, start, tell } from './lab.ts';

const most = { bytes: 2 ** 30, entries: 10_000 };

/** A directory of the host to be used as a layer. */
function layer(place: Lab, name: string, files: Readonly<Record<string, string>>): string {
  const directory = join(place.scratch, name);
  mkdirSync(directory, { mode: 0o755 });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

function target(place: Lab, name = 'target'): string {
  const directory = join(place.scratch, name);
  mkdirSync(directory, { mode: 0o700 });
  return directory;
}

/** Runs a script that must succeed, in a container that is gone afterwards. */
async function make(sandbox: Sandbox, script: string): Promise<string> {
  const box = start(sandbox);
  const told = await tell(box, shell(`set -e\n${script}`));
  expect(told.exit, told.output).toEqual({ reason: 'exit', code: 0 });
  box.kill();
  return told.output;
}

describe('a volume', () => {
  test.each(overlays)(
    'shows its layers, merged, to all containers, which write above them (%s)',
    async (overlay) => {
      await using place = lab({ overlay });
      const layers = [layer(place, 'a', { one: '1', 'd/two': 'old' }), layer(place, 'b', { 'd/two': '2' })];
      const sandbox = place.open({ volumes: [{ path: '/root/.cache', layers }] });
      expect(await make(sandbox, 'cd /root/.cache; cat one d/two; echo 3 >three; rm one')).toBe('12');
      expect(await make(sandbox, 'cd /root/.cache; ls; cat three')).toBe('d\nthree\n3\n');
      expect(readdirSync(layers[0] ?? '').sort()).toEqual(['d', 'one']);
    },
  );

  test('without layers is empty, and users other than root may write to it', async () => {
    await using place = lab();
    const sandbox = place.open({ volumes: [{ path: '/var/cache/build', layers: [] }] });
    const box = start(sandbox);
    const command = {
      ...shell('ls -A; echo x >file; stat -c %u:%a . file'),
      cwd: '/var/cache/build',
      user: '1000',
    };
    expect((await tell(box, command)).output).toBe('0:777\n1000:644\n');
  });

  test('counts in the limits of the build', async () => {
    await using place = lab();
    const sandbox = place.open({ volumes: [{ path: '/cache', layers: [] }] });
    const { exit } = await sh(sandbox, 'head -c 100M /dev/zero >/cache/file');
    expect(exit.reason).toBe('disk');
  });

  test('lies in the workspace too, hides what the source has there, and is read as part of it', async () => {
    await using place = lab();
    const source = layer(place, 'source', { 'web/modules/old': 'x', 'web/index': 'i' });
    const sandbox = place.open({
      workspace: { sources: [source], hidden: ['web/modules'] },
      volumes: [{ path: '/workspace/web/modules', layers: [layer(place, 'a', { kept: 'k' })] }],
    });
    expect(await make(sandbox, 'ls web web/modules; echo new >web/modules/new')).toBe(
      'web:\nindex\nmodules\n\nweb/modules:\nkept\n',
    );
    const files = await sandbox.list(['web'], 10);
    expect(files.map(({ path }) => path).sort()).toEqual([
      'web/index',
      'web/modules/kept',
      'web/modules/new',
    ]);
  });

  // Found by making the way lead to /run/.cofferdam: the reader then ran the build's program as its init, without limits.
  test.each(['/run/.cofferdam', '/proc', '/dev', '/etc'])(
    'in the workspace stays where it is when a build makes a link to %s of the way to it',
    async (elsewhere) => {
      await using place = lab();
      const sandbox = place.open({ volumes: [{ path: '/workspace/a/b', layers: [] }] });
      const box = start(sandbox);
      const script = `cp /bin/true a/b/init; mv a old; mkdir a; ln -s ${elsewhere} a/b; echo kept >file`;
      expect((await tell(box, shell(script))).exit.code).toBe(0);
      box.kill();
      const mounts = 'ls old/b; cut -d" " -f5 /proc/self/mountinfo | grep ^/workspace';
      expect(await make(sandbox, mounts)).toBe('init\n/workspace\n/workspace/old/b\n');
      const files = await sandbox.list(['file', 'old'], 10);
      expect(files.map(({ path }) => path)).toEqual(['file', 'old/b/init']);
    },
  );

  test('below a hidden directory of the source does not show the rest of that', async () => {
    await using place = lab();
    const source = layer(place, 'source', { 'target/secret': 's', 'target/debug/old': 'x' });
    const sandbox = place.open({
      workspace: { sources: [source], hidden: ['target'] },
      volumes: [{ path: '/workspace/target/debug', layers: [] }],
    });
    expect(await make(sandbox, 'find target')).toBe('target\ntarget/debug\n');
  });

  test('leaves the directories above it as the image has them', async () => {
    await using place = lab();
    const sandbox = place.open({ volumes: [{ path: '/var/mail/deep/cache', layers: [] }] });
    const told = await make(
      sandbox,
      'stat -c %a:%G /var/mail; stat -c %a:%G /var/mail/deep; stat -c %a /tmp',
    );
    expect(told).toBe('2775:mail\n755:root\n1777\n');
  });

  test('at a link of the image or the source hides the link', async () => {
    await using place = lab();
    const source = layer(place, 'source', { 'real/file': 'x' });
    symlinkSync('real', join(source, 'link'));
    const sandbox = place.open({
      workspace: { sources: [source] },
      volumes: [
        { path: '/workspace/link', layers: [] },
        { path: '/var/lock', layers: [] },
        { path: '/var/run/deep', layers: [] },
      ],
    });
    const script = 'for d in link /var/lock /var/run/deep; do echo x >$d/a; done; find real /run -name a';
    expect(await make(sandbox, script)).toBe('');
  });

  test.each([
    '/',
    '/proc',
    '/proc/self',
    '/etc',
    '/etc/hosts',
    '/dev/shm',
    '/sys',
    '/run/secrets',
    '/run/.cofferdam',
    '/workspace',
    'relative',
    '/a/../b',
    '/a//b',
    '/a/',
    '',
  ])('cannot be at %j', async (path) => {
    await using place = lab();
    expect(() => place.open({ volumes: [{ path, layers: [] }] })).toThrow(SandboxError);
  });

  test.each([
    ['/a', '/a'],
    ['/a', '/a/b'],
    ['/a/b', '/a'],
  ])('%s and another at %s are refused', async (one, two) => {
    await using place = lab();
    const volumes: Volume[] = [one, two].map((path) => ({ path, layers: [] }));
    expect(() => place.open({ volumes })).toThrow(/one is below the other/);
  });

  test('that was removed a moment ago is an error that says so', async () => {
    await using place = lab();
    const sandbox = place.open({
      volumes: [{ path: '/cache', layers: ['/no/such'], lock: '/no/such/lock' }],
    });
    await expect(sh(sandbox, 'true')).rejects.toThrow(/removed a moment ago/);
  });
});

function copied(snapshot: Snapshot): Extract<Snapshot, { kind: 'copied' }> {
  if (snapshot.kind === 'copied') return snapshot;
  throw new Error(`the snapshot is ${snapshot.kind}`);
}

describe('a snapshot', () => {
  test.each([
    ['tmpfs', smallLimits],
    ['ext4', ext4Limits],
  ])('has all that the volume has, on %s', async (_, limits) => {
    await using place = lab();
    const layers = [layer(place, 'a', { 'old/file': 'old', gone: 'x' })];
    const sandbox = place.open({ limits, volumes: [{ path: '/cache', layers }] });
    await make(
      sandbox,
      `cd /cache; rm gone; echo new >old/new; chown 33:44 old/new; chmod 4750 old/new; touch -d @1000000000 old/new
      ln old/new hard; ln -s /etc/shadow soft; chown -h 1:2 soft; truncate -s 1G sparse; echo end >>sparse
      mkfifo fifo; mkdir -m 1777 empty; head -c 1000000 /dev/urandom >big; sha256sum <big >sum; chmod 0 big
      touch -d @1100000000 old`,
    );
    const to = target(place);
    const { listing, ...counts } = copied(
      await sandbox.snapshot('/cache', to, { bytes: 2 ** 31, entries: 100 }),
    );
    expect(counts).toEqual({
      kind: 'copied',
      files: 6,
      bytes: 4 + 4 + 3 + 2 ** 30 + 4 + 1_000_000 + 68,
      entries: 9,
    });
    const { stdout } = await run({ file: 'find', args: [to, '-printf', '%y %s %U %G %m %T@ %P\\0'] });
    const lines = (text: Buffer) => text.toString().split('\0').sort();
    expect(lines(listing)).toEqual(lines(stdout));
    expect(readdirSync(to).sort()).toEqual(['big', 'empty', 'hard', 'old', 'soft', 'sparse', 'sum']);
    const { uid, gid, mode, mtimeMs, nlink, ino } = statSync(join(to, 'old/new'));
    expect({ uid, gid, mode: mode & 0o7777, mtimeMs, nlink }).toEqual({
      uid: 33,
      gid: 44,
      mode: 0o4750,
      mtimeMs: 1e12,
      nlink: 2,
    });
    expect(statSync(join(to, 'hard')).ino).toBe(ino);
    expect(readlinkSync(join(to, 'soft'))).toBe('/etc/shadow');
    expect(lstatSync(join(to, 'soft'))).toMatchObject({ uid: 1, gid: 2 });
    expect(statSync(join(to, 'empty')).mode & 0o7777).toBe(0o1777);
    expect(statSync(join(to, 'old')).mtimeMs).toBe(1.1e12);
    expect(statSync(join(to, 'sparse')).blocks).toBeLessThan(64);
    expect(readFileSync(join(to, 'old/file'), 'utf8')).toBe('old');
    const again = place.open({ volumes: [{ path: '/cache', layers: [to] }] });
    expect(await make(again, 'cd /cache; sha256sum <big | cmp - sum; tail -c 4 sparse; cat hard')).toBe(
      'end\nnew\n',
    );
  });

  test('of what nobody changed is none', async () => {
    await using place = lab();
    const sandbox = place.open({ volumes: [{ path: '/cache', layers: [layer(place, 'a', { file: 'x' })] }] });
    await make(sandbox, 'cat /cache/file; touch /cache/file2; rm /cache/file2');
    expect(await sandbox.snapshot('/cache', target(place), most)).toEqual({ kind: 'unchanged' });
  });

  test.each([
    ['bytes', { bytes: 9, entries: 10 }],
    ['entries', { bytes: 100, entries: 4 }],
  ])('is given up when there are more %s than allowed', async (_, bounds) => {
    await using place = lab();
    const sandbox = place.open({ volumes: [{ path: '/cache', layers: [] }] });
    await make(sandbox, 'cd /cache; touch a b c d; echo 123456789 >e');
    expect(await sandbox.snapshot('/cache', target(place), bounds)).toEqual({ kind: 'too-large' });
  });

  test('waits for no container that still runs', async () => {
    await using place = lab();
    const sandbox = place.open({ volumes: [{ path: '/cache', layers: [] }] });
    await tell(start(sandbox), shell('touch /cache/file'));
    await expect(sandbox.snapshot('/cache', target(place), most)).rejects.toThrow(/still runs/);
  });

  test('of a tree too deep is an error, and the sandbox goes on', async () => {
    await using place = lab();
    const sandbox = place.open({ volumes: [{ path: '/cache', layers: [] }] });
    await make(sandbox, `cd /cache; perl -e 'for (1..2500) { mkdir "d"; chdir "d" or die $! }'`);
    await expect(sandbox.snapshot('/cache', target(place), most)).rejects.toThrow(
      /copying the volume \/cache failed: d\//,
    );
    expect(await sandbox.list([''], 10)).toEqual([]);
  });
});
