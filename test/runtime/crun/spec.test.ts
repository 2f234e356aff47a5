import { describe, expect, test } from 'vitest';
import { containerSpec, initPath } from '../../../runtime/crun/spec.ts';

const options = {
  mount: '/data/mnt',
  holder: '/opt/holder',
  places: [{ source: 'workspace', path: '/home/build/src', access: 'rw' }],
  seccomp: Buffer.from('filter'),
  rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
  processors: 2,
} as const;

interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}
interface Config {
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly process: {
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly noNewPrivileges: boolean;
    readonly capabilities: Readonly<Record<string, readonly string[]>>;
  };
  readonly mounts: readonly Mount[];
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly maskedPaths: readonly string[];
  };
  readonly hooks?: unknown;
  readonly annotations: Readonly<Record<string, string>>;
}
/** As crun reads it. */
const config = (root: 'writable' | 'readonly' = 'writable'): Config =>
  JSON.parse(JSON.stringify(containerSpec(options, root)));

describe("a container's config", () => {
  test('runs our init without more privileges to get', () => {
    const { args, env, noNewPrivileges } = config().process;
    expect({ args, env, noNewPrivileges }).toEqual({
      args: [initPath, 'init'],
      env: ['HOME=/'],
      noNewPrivileges: true,
    });
  });

  test('has the same capabilities in each set, and none to inherit', () => {
    const { bounding, effective, permitted, ...others } = config().process.capabilities;
    expect(effective).toEqual(bounding);
    expect(permitted).toEqual(bounding);
    expect(bounding).toHaveLength(11);
    expect(others).toEqual({});
  });

  test('joins the user namespace of the sandbox and makes its own pid, mount and cgroup namespaces', () => {
    expect(config().linux.namespaces).toEqual([
      { type: 'pid' },
      { type: 'mount' },
      { type: 'cgroup' },
      { type: 'user', path: '/data/mnt/userns' },
    ]);
  });

  test('binds nothing of the host but the init, read-only, and the workspace', () => {
    const binds = config().mounts.filter(({ type }) => type === 'bind');
    expect(binds.map(({ source, destination }) => [source, destination])).toEqual([
      ['/opt/holder', initPath],
      ['/data/mnt/workspace', '/home/build/src'],
    ]);
    expect(binds[0]?.options).toContain('ro');
    for (const bind of binds) expect(bind.options).not.toContain('rbind');
  });

  test('lets no mount carry set-user-id programs', () => {
    for (const { destination, options: flags } of config().mounts)
      expect(flags, destination).toContain('nosuid');
  });

  test('masks the thermal counters of each processor', () => {
    const masked = config().linux.maskedPaths.filter((path) => path.includes('thermal_throttle'));
    expect(masked).toEqual([0, 1].map((i) => `/sys/devices/system/cpu/cpu${i}/thermal_throttle`));
  });

  test('carries the filter compiled, and no hooks', () => {
    const { annotations, hooks } = config();
    expect(annotations).toEqual({ 'run.oci.seccomp_bpf_data': Buffer.from('filter').toString('base64') });
    expect(hooks).toBeUndefined();
  });

  test('of the reader has a root that nobody can write', () => {
    expect(config('readonly').root).toEqual({ path: 'rootfs', readonly: true });
    expect(config('writable').root).toEqual({ path: 'rootfs', readonly: false });
  });
});
