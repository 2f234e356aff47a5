import { expect, test } from 'vitest';
import { chooseDisk } from '../../../runtime/crun/disk.ts';
import { holderCommand } from '../../../runtime/crun/driver.ts';
import { census, expectSameCensus } from '../../census.ts';
import { debian } from '../../rootfs.ts';
import { lab, sh, smallLimits } from './lab.ts';

const options = { dataDir: '/data', layersDir: '/layers', holder: '/opt/holder', crun: '/usr/bin/crun' };
const workspace = { path: '/workspace', sources: [], hidden: [] };
const cgroups = {
  directories: ['/cg/a', '/cg/b'],
  settings: [['/cg/a/max', '5']],
  join: ['/cg/a/tasks'],
  each: ['/cg/b'],
  eachFile: 'tasks',
} as const;

test.each([
  ['layerwise', ''],
  ['classic', '--classic-overlay '],
] as const)(
  'the holder is told everything on its command line, nothing by its environment (%s)',
  (overlay, flag) => {
    const command = holderCommand(
      { ...options, overlay },
      { mount: '/data/mnt', slots: '/data/slots' },
      {
        id: 'b1',
        limits: smallLimits,
        workspace: { ...workspace, sources: ['/src', '/more'], locks: ['/a', '/b'] },
      },
      { kind: 'tmpfs', bytes: 1000, inodes: 50 },
      cgroups,
    );
    expect(command.file).toBe('/opt/holder');
    expect(command.env).toEqual({});
    expect(command.args.join(' ')).toBe(
      'open --mount /data/mnt --crun /usr/bin/crun --layers /layers --slots /data/slots 1879048192 4096 ' +
        `--workspace /workspace --tmpfs 1000 50 --source /src --source /more --lock /a --lock /b ${flag}` +
        '--cgroup /cg/a --cgroup /cg/b --set /cg/a/max 5 --join /cg/a/tasks --each /cg/b tasks',
    );
  },
);

test('a sandbox without source, on ext4, says so', () => {
  const { args } = holderCommand(
    options,
    { mount: '/m', slots: '/s' },
    { id: 'b1', limits: smallLimits, workspace },
    { kind: 'ext4', template: '/data/disks/t.img' },
    cgroups,
  );
  expect(args).not.toContain('--source');
  expect(args.join(' ')).toContain('--ext4 /data/disks/t.img');
});

test.each([
  [64, 256, 'tmpfs'],
  [65, 256, 'ext4'],
])('a disk of %i in a memory of %i is %s', (disk, memory, kind) => {
  const limits = { ...smallLimits, diskBytes: disk * 2 ** 20, memoryBytes: memory * 2 ** 20 };
  expect(chooseDisk(limits, '/disks').kind).toBe(kind);
});

// The inodes that a build has when it asks for none; see src/limits.ts.
test.each([64, 512])('a disk of %i MiB on ext4 is not used up by inodes', async (size) => {
  await using place = lab();
  const limits = { diskBytes: size * 2 ** 20, diskInodes: 2_000_000, memoryBytes: 128 * 2 ** 20 };
  const told = await sh(place.open({ limits }), `fallocate -l ${Math.floor(size * 0.9)}M big`);
  expect(told).toEqual({ exit: { reason: 'exit', code: 0 }, output: '' });
});

test.each(['', 'workspace', '/', '//a', '/a/', '/a/../b', '/../../etc', '/a/./b', '/a\0b'])(
  'the workspace cannot be at %j',
  async (path) => {
    await using place = lab();
    expect(() => place.open({ workspace: { path } })).toThrow(/not a workspace path/);
  },
);

test.each(['', '..', '../x', '/etc', '.', 'a/../..'])(
  '%j cannot be hidden, and nothing is started',
  async (path) => {
    await using place = lab();
    const before = census(place.dataDir);
    expect(() => place.open({ workspace: { sources: [place.scratch], hidden: [path] } })).toThrow(
      /below the workspace/,
    );
    await expectSameCensus(place.dataDir, before);
  },
);

test.each(['', 'Upper', 'a/b', '..', '_reader', 'a'.repeat(33), 'a\nb'])(
  'no container is called %j',
  async (name) => {
    await using place = lab();
    const sandbox = place.open();
    expect(() => sandbox.start({ name, root: debian })).toThrow(/not a name of a container/);
    expect((await sh(sandbox, 'echo on')).output).toBe('on\n');
  },
);

test.each(['/workspace', '/home/build/my project', '/etc/deep/er', '/tmp/w', '/usr/bin/w'])(
  'the workspace can be at %s',
  async (path) => {
    await using place = lab();
    const told = await sh(place.open({ workspace: { path } }), 'pwd; touch file; ls', { cwd: path });
    expect(told).toEqual({ exit: { reason: 'exit', code: 0 }, output: `${path}\nfile\n` });
  },
);

test('two sandboxes with one id cannot run at once; the first goes on', async () => {
  await using place = lab();
  const spec = { id: `twice-${process.pid}`, limits: smallLimits, workspace };
  const first = place.driver.open(spec);
  const second = place.driver.open(spec);
  const told = await Promise.allSettled([sh(first, 'sleep 0.3; echo one'), sh(second, 'echo two')]);
  expect(told.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await Promise.all([first.destroy(), second.destroy()]);
});
