import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import numbers from '../../runtime/crun/seccomp/numbers.json' with { type: 'json' };
import { rules } from '../../runtime/crun/seccomp/policy.ts';
import { type Bench, createBench } from './bench.ts';
import { groups } from './filters.ts';
import { changes, holderSource } from './holders.ts';
import { defaultControls } from './mutation.ts';

// What keeps a build in is dropped by `npm run probes`, each alone. Nothing must be added without being dropped there too.
describe('there is a control for', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await createBench();
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  test('every part of the config: it has no others than those that controls are made of', async () => {
    const { config, all } = await defaultControls(bench);
    // The root's path, the command, and where it starts hold nobody back.
    const inert = ['ociVersion', 'root', 'terminal', 'args', 'env', 'cwd'];
    const parts = [...Object.keys(config), ...Object.keys(config.process), ...Object.keys(config.linux)];
    expect(parts.filter((part) => !inert.includes(part)).toSorted()).toEqual([
      'annotations',
      'capabilities',
      'linux',
      'maskedPaths',
      'mounts',
      'namespaces',
      'noNewPrivileges',
      'process',
      'readonlyPaths',
      'rlimits',
      'rootfsPropagation',
      'user',
    ]);
    const ids = all.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    // None of these holds anybody back.
    const known = /^(bind|rw|ptmxmode=0666)$/;
    const options = config.mounts.flatMap(({ destination, options: its }) =>
      its.filter((option) => !known.test(option)).map((option) => `${option} of ${destination}`),
    );
    expect(options.filter((id) => !ids.includes(id))).toEqual([]);
  });

  test('every call that the policy refuses by name', () => {
    const table: Record<string, number> = process.arch === 'arm64' ? numbers.arm64 : numbers.x64;
    const names = new Map(Object.entries(table).map(([name, number]) => [number, name]));
    const policy = rules(process.arch === 'arm64' ? 'arm64' : 'x64');
    const held = [...policy]
      .filter(([, rule]) => rule !== 'allow')
      .map(([number]) => names.get(number) ?? '');
    const opened = new Set(Object.values(groups).flatMap((calls) => calls.split(' ')));
    expect(held.filter((name) => !opened.has(name))).toEqual([]);
    expect(held.length).toBeGreaterThan(50);
  });

  test('every flag and call of the holder that takes something away', () => {
    expect(unchanged()).toEqual(elsewhere.map(([where]) => where));
  });
});

const protective =
  /\b(?:MS_(?:RDONLY|NOSUID|NODEV|NOEXEC)|MOUNT_ATTR_(?:RDONLY|NOSUID|NODEV)|PR_SET_DUMPABLE|close_range|setsid\(\)|CLONE_NEW\w+)\b/g;

/** Those that no control takes out, as `file: name`; in the order of the source. */
function unchanged(): string[] {
  return globSync(join(holderSource, '*.c'))
    .toSorted()
    .flatMap((path) => {
      const file = basename(path);
      const text = readFileSync(path, 'utf8').replaceAll(/\/\*.*?\*\//gs, (comment) =>
        ' '.repeat(comment.length),
      );
      const dropped = new Set(
        changes
          .filter((change) => change.file === file)
          .flatMap(({ from, to }) => {
            const start = text.indexOf(from);
            const kept = [...to.matchAll(protective)].map(([name]) => name);
            return [...from.matchAll(protective)]
              .filter(([name]) => !kept.includes(name))
              .map(({ index }) => start + index);
          }),
      );
      return [...text.matchAll(protective)]
        .filter(({ index }) => !dropped.has(index))
        .map(([name]) => `${file}: ${name}`);
    });
}

/** Why there is no control: what is not in the bench's sandboxes is looked at by tests, and some take nothing away. */
const elsewhere: readonly (readonly [where: string, why: string])[] = [
  ['disk.c: MS_NODEV', 'of a disk of ext4: runtime/crun/isolation'],
  ['ids.c: CLONE_NEWUSER', 'namespaces in the config'],
  ['ids.c: CLONE_NEWNET', 'a condition'],
  ['ids.c: CLONE_NEWNET', 'what is made here is dropped where it is joined: mounts.c'],
  ['ids.c: CLONE_NEWIPC', 'likewise'],
  ['ids.c: CLONE_NEWUTS', 'likewise'],
  ['link.c: CLONE_NEWNET', 'joined to make a link'],
  ['link.c: CLONE_NEWNET', 'likewise'],
  ['link.c: CLONE_NEWNET', 'likewise'],
  ['open.c: CLONE_NEWPID', 'the end of a pod ends all: runtime/crun/survivors'],
  ['open.c: CLONE_NEWNS', 'likewise'],
  ['overlay.c: MOUNT_ATTR_NOSUID', 'for kernels without the new calls for overlays: runtime/crun/roots'],
  ['overlay.c: MS_NOSUID', 'likewise'],
  ['overlay.c: MS_NODEV', 'likewise'],
  ['unpack.c: MOUNT_ATTR_RDONLY', 'of unpacking: runtime/images/contain, hostile/caches'],
  ['unpack.c: CLONE_NEWNS', 'likewise'],
  ['unpack.c: CLONE_NEWNET', 'likewise'],
  ['unpack.c: CLONE_NEWIPC', 'likewise'],
  ['volume.c: MOUNT_ATTR_RDONLY', 'of the reader of artifacts: runtime/crun/artifacts'],
];
