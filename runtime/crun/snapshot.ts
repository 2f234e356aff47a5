import { type Command, type Sandbox, SandboxError, type SandboxSpec, type Sink } from '../sandbox.ts';
import { initPath } from './spec.ts';
import { snapshotPaths } from './volumes.ts';

/** Runs a command in the container of a volume's copier, once; resolves with its end as wait(2) gives it. */
type Copier = (volume: number, directory: string, args: Command['args'], sink: Sink) => Promise<number>;

/** Exit codes of the holder's `snapshot` (runtime/crun/holder/snapshot.c). */
const unchanged = 3;
const tooLarge = 4;

export function volumeCopier({ volumes = [] }: SandboxSpec, copier: Copier): Sandbox['snapshot'] {
  return async (path, directory, most) => {
    const number = volumes.findIndex((volume) => volume.path === path);
    if (number === -1) throw new SandboxError('collect', `there is no volume at ${path}`);
    const { upper, volume, target } = snapshotPaths;
    const bounds = [most.bytes, most.entries].map(String);
    let told = '';
    const status = await copier(
      number,
      directory,
      [initPath, 'snapshot', upper, volume, target, ...bounds],
      (chunk) => void (told += chunk.toString()),
    );
    const code = status >> 8;
    if (code === unchanged) return { kind: 'unchanged' };
    if (code === tooLarge) return { kind: 'too-large' };
    const [files, bytes, entries] = told.split(' ').map(Number);
    if (status !== 0 || files === undefined || bytes === undefined || entries === undefined) {
      throw new SandboxError('collect', `copying the volume ${path} failed: ${told || `status ${status}`}`);
    }
    return { kind: 'copied', files, bytes, entries };
  };
}
