import { constants, existsSync, mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../command.ts';
import type { Limits } from '../sandbox.ts';

/** What carries the ephemeral layer. */
export type Disk =
  | { readonly kind: 'tmpfs'; readonly bytes: number; readonly inodes: number }
  | { readonly kind: 'ext4'; readonly template: string };

/**
 * tmpfs for a layer that fits well into the build's memory, whose pages count there; else ext4 in a sparse file.
 * Both end hard, in bytes and inodes. The ext4 template is made once for each size; sandboxes copy its few blocks.
 */
export function chooseDisk(limits: Limits, directory: string): Disk {
  if (limits.diskBytes <= limits.memoryBytes / 4) {
    return { kind: 'tmpfs', bytes: limits.diskBytes, inodes: limits.diskInodes };
  }
  return { kind: 'ext4', template: join(directory, `ext4-${limits.diskBytes}-${ext4Inodes(limits)}.img`) };
}

/**
 * One for each 4 KiB, if so many are wanted: ext4 makes its tables of 256-byte inodes beforehand, and a small disk
 * would be full of them, or refused by mkfs.ext4. So they take a sixteenth at most.
 */
function ext4Inodes(limits: Limits): number {
  return Math.min(limits.diskInodes, Math.floor(limits.diskBytes / 4096));
}

/** Makes the template of an ext4 disk unless it exists. Throws CommandError. */
export function prepareDisk(disk: Disk, limits: Limits): Promise<void> | undefined {
  if (disk.kind === 'tmpfs' || existsSync(disk.template)) return undefined;
  return makeTemplate(disk.template, limits);
}

/** An open(2) flag that Node does not name: O_TMPFILE without the O_DIRECTORY that it includes. */
const unnamed = 0o20000000;

/** The file has no name until it is complete, so a process that dies meanwhile leaves nothing. */
async function makeTemplate(template: string, limits: Limits): Promise<void> {
  const directory = dirname(template);
  mkdirSync(directory, { recursive: true });
  const file = await open(directory, constants.O_RDWR | constants.O_DIRECTORY | unnamed, 0o600);
  const path = `/proc/${process.pid}/fd/${file.fd}`;
  try {
    await run({
      file: 'mkfs.ext4',
      args: [
        ['-q', '-F', '-m', '0', '-N', String(ext4Inodes(limits))],
        ['-O', '^has_journal,^resize_inode,sparse_super2'],
        // All that is known of it in one place, and once: each piece is copied, and freed again at the end.
        ['-E', 'nodiscard,lazy_itable_init=1,root_owner=0:0,packed_meta_blocks=1,num_backup_sb=0'],
        [path, `${Math.ceil(limits.diskBytes / 1024)}k`],
      ].flat(),
    });
    await run({ file: 'ln', args: ['-L', path, template] });
  } catch (error) {
    // Another process was faster.
    if (!existsSync(template)) throw error;
  } finally {
    await file.close();
  }
}
