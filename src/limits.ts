/** What a build may use. The same shape as the sandbox's, kept apart so that src does not import runtime. */
export interface Limits {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly diskInodes: number;
  readonly pids: number;
  readonly openFiles: number;
}

const GiB = 1024 ** 3;

/** A build that asks for nothing gets this. */
export const defaultLimits: Limits = {
  cpus: 2,
  memoryBytes: 4 * GiB,
  diskBytes: 10 * GiB,
  diskInodes: 2_000_000,
  pids: 1024,
  openFiles: 65_536,
};
