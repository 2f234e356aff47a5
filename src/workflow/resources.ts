import { defaultLimits, type Limits } from '../limits.ts';
import type { Reading } from './finding.ts';
import { bytesOf } from './quantity.ts';
import type { WorkflowFile } from './schema.ts';

const MiB = 1024 ** 2;
const TiB = 1024 ** 4;

/** The limits of a workflow; those that it does not name are the defaults. */
export function readLimits(resources: NonNullable<WorkflowFile['resources']>, { report }: Reading): Limits {
  const size = (key: 'memory' | 'disk', otherwise: number, least: number): number => {
    const written = resources[key];
    if (written === undefined) return otherwise;
    const bytes = bytesOf(written);
    if (bytes < least || bytes > 64 * TiB) {
      const message = `resources.${key} must be ${least / MiB}MiB to 64TiB, not ${written}`;
      report({ path: ['resources', key], part: 'value', message });
    }
    return bytes;
  };
  return {
    ...defaultLimits,
    ...(resources.cpus !== undefined && { cpus: resources.cpus }),
    ...(resources.pids !== undefined && { pids: resources.pids }),
    memoryBytes: size('memory', defaultLimits.memoryBytes, 32 * MiB),
    diskBytes: size('disk', defaultLimits.diskBytes, MiB),
  };
}
