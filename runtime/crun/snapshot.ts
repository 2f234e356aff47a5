import { type Command, type Sandbox, SandboxError, type SandboxSpec, type Sink } from '../sandbox.ts';
import { initPath } from './spec.ts';
import { snapshotPaths } from './volumes.ts';

/** Runs a command in the container of a volume's copier, once; resolves with its end as wait(2) gives it. */
type Copier = (volume: number, directory: string, args: Command['args'], sink: Sink) => Promise<number>;

/** Exit codes of the holder's `snapshot` (runtime/crun/holder/snapshot.c). */
const unchanged = 3;
const tooLarge = 4;

/** Bytes of a listing: far more than of two million entries with names that somebody can read. */
const maxListing = 256 * 1024 ** 2;

export function volumeCopier({ volumes = [] }: SandboxSpec, copier: Copier): Sandbox['snapshot'] {
  return async (path, directory, most) => {
    const number = volumes.findIndex((volume) => volume.path === path);
    if (number === -1) throw new SandboxError('collect', `there is no volume at ${path}`);
    const { upper, volume: merged, target } = snapshotPaths;
    // Without layers below, what was changed is all there is; reading it without an overlay is faster.
    const volume = volumes[number]?.layers.length === 0 ? upper : merged;
    const bounds = [most.bytes, most.entries].map(String);
    const told: Buffer[] = [];
    let size = 0;
    const status = await copier(
      number,
      directory,
      [initPath, 'snapshot', upper, volume, target, ...bounds],
      (chunk) => {
        size += chunk.length;
        if (size <= maxListing) told.push(Buffer.from(chunk));
      },
    );
    const code = status >> 8;
    if (code === unchanged) return { kind: 'unchanged' };
    if (code === tooLarge || size > maxListing) return { kind: 'too-large' };
    const all = Buffer.concat(told);
    const end = all.lastIndexOf(0) + 1;
    const last = all.subarray(end).toString();
    const [files, bytes, entries] = last.slice(1).split(' ').map(Number);
    if (status !== 0 || files === undefined || bytes === undefined || entries === undefined) {
      const why = last.startsWith('!') ? last.slice(1) : `status ${status}`;
      throw new SandboxError('collect', `copying the volume ${path} failed: ${why}`);
    }
    return { kind: 'copied', files, bytes, entries, listing: all.subarray(0, end) };
  };
}
