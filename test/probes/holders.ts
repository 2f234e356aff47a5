import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { testData } from '../rootfs.ts';
import type { Control } from './controls.ts';
import { compiled } from './program.ts';

/** One place of the holder's source, without what it holds back. */
export interface Change {
  readonly id: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly noticed?: Control['noticed'];
}

export const changes: readonly Change[] = [
  // init.c: what a command is born with
  { id: 'init is not dumpable', file: 'init.c', from: 'prctl(PR_SET_DUMPABLE, 0)', to: '0' },
  { id: 'descriptors are closed', file: 'init.c', from: 'close_range(3, ~0U, 0);', to: '' },
  { id: 'session', file: 'init.c', from: '\tsetsid();\n', to: '' },
  { id: 'oom_score_adj', file: 'init.c', from: 'write(score, "500", 3)', to: 'write(score, "0", 1)' },
  // mounts.c, overlay.c, disk.c
  { id: 'network namespace', file: 'mounts.c', from: 'join(spaces->net, CLONE_NEWNET);', to: '' },
  { id: 'IPC namespace', file: 'mounts.c', from: 'join(spaces->ipc, CLONE_NEWIPC);', to: '' },
  { id: 'UTS namespace', file: 'mounts.c', from: 'join(spaces->uts, CLONE_NEWUTS);', to: '' },
  {
    id: 'nodev of overlays',
    file: 'overlay.c',
    from: 'FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | attributes',
    to: 'FSMOUNT_CLOEXEC, attributes',
  },
  {
    id: 'flags of /etc/hosts and /etc/resolv.conf',
    file: 'mounts.c',
    from: 'MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, NULL))\n\t\tdie("mount %s", to);',
    to: 'MS_REMOUNT | MS_BIND, NULL))\n\t\tdie("mount %s", to);',
  },
  {
    id: 'nosuid of the workspace',
    file: 'workspace.c',
    from: '"workspace", MOUNT_ATTR_NOSUID)',
    to: '"workspace", 0)',
  },
  { id: 'size of a tmpfs disk', file: 'disk.c', from: '"size=%llu,nr_inodes', to: '"size=1%llu,nr_inodes' },
  { id: 'inodes of a tmpfs disk', file: 'disk.c', from: 'nr_inodes=%llu', to: 'nr_inodes=1%llu' },
  {
    id: 'read-only layers',
    file: 'mounts.c',
    from: '"layers", spaces->user, MOUNT_ATTR_RDONLY',
    to: '"layers", spaces->user, 0',
  },
  {
    id: 'read-only sources',
    file: 'workspace.c',
    from: 'spaces->source_user, MOUNT_ATTR_RDONLY',
    to: 'spaces->source_user, 0',
  },
  {
    id: 'nodev of layers',
    file: 'mounts.c',
    from: ' | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID,',
    to: ' | MOUNT_ATTR_NOSUID,',
  },
  {
    id: 'nosuid of layers',
    file: 'mounts.c',
    from: ' | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID,',
    to: ' | MOUNT_ATTR_NODEV,',
  },
  {
    id: 'nodev of the disk',
    file: 'disk.c',
    from: 'MS_NODEV | MS_NOATIME, options',
    to: 'MS_NOATIME, options',
  },
  {
    id: 'read-only crun',
    file: 'mounts.c',
    from: 'MS_RDONLY | MS_NODEV | MS_NOSUID, NULL))\n\t\tdie("%s", plan->crun',
    to: 'MS_NODEV | MS_NOSUID, NULL))\n\t\tdie("%s", plan->crun',
  },
  {
    id: 'nodev of crun',
    file: 'mounts.c',
    from: 'MS_RDONLY | MS_NODEV | MS_NOSUID, NULL))\n\t\tdie("%s", plan->crun',
    to: 'MS_RDONLY | MS_NOSUID, NULL))\n\t\tdie("%s", plan->crun',
  },
  {
    id: 'nosuid of crun',
    file: 'mounts.c',
    from: 'MS_RDONLY | MS_NODEV | MS_NOSUID, NULL))\n\t\tdie("%s", plan->crun',
    to: 'MS_RDONLY | MS_NODEV, NULL))\n\t\tdie("%s", plan->crun',
  },
  {
    id: "nodev of the pod's tmpfs",
    file: 'mounts.c',
    from: '"tmpfs", MS_NODEV | MS_NOSUID',
    to: '"tmpfs", MS_NOSUID',
  },
  {
    id: "nosuid of the pod's tmpfs",
    file: 'mounts.c',
    from: '"tmpfs", MS_NODEV | MS_NOSUID',
    to: '"tmpfs", MS_NODEV',
  },
  {
    id: "flags of the pod's /proc",
    file: 'mounts.c',
    from: '"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL',
    to: '"proc", 0, NULL',
  },
  {
    id: 'read-only layers of volumes',
    file: 'volume.c',
    from: 'names[i], spaces->user, MOUNT_ATTR_RDONLY',
    to: 'names[i], spaces->user, 0',
  },
  {
    id: 'nosuid of volumes',
    file: 'volume.c',
    from: 'work, merged, MOUNT_ATTR_NOSUID)',
    to: 'work, merged, 0)',
  },
  { id: 'output of init', file: 'init.c', from: 'dup2(null, 1);\n\tdup2(null, 2);\n\tif', to: 'if' },
  // ids.c
  {
    id: 'own id range',
    file: 'ids.c',
    from: '*base = plan->first_id + i * IDS;',
    to: '*base = (i + 1) * IDS;',
  },
];

export const holderSource = join(import.meta.dirname, '../../runtime/crun/holder');

/** The holder's controls, each with a holder that lacks it. */
export const holderControls = (): Control[] =>
  changes.map((change) => ({
    id: `holder: ${change.id}`,
    noticed: change.noticed ?? 'inside',
    without: async () => ({ holder: await holderWith([change]) }),
  }));

/** The holder of this source, whatever set-up compiled last. */
export const holderOfSource = (): Promise<string> => holderWith([]);

/** Throws when the source is no longer as a change expects it: then nobody knows what the change does. */
async function holderWith(wanted: readonly Change[]): Promise<string> {
  mkdirSync(testData, { recursive: true });
  const directory = mkdtempSync(join(testData, 'holder-'));
  try {
    const files = globSync(join(holderSource, '*.[ch]')).map((file) => {
      let text = readFileSync(file, 'utf8');
      for (const { id, from, to } of wanted.filter((change) => change.file === basename(file))) {
        const parts = text.split(from);
        if (parts.length !== 2)
          throw new Error(
            `holder control '${id}': its text is ${parts.length - 1} times in ${basename(file)}, not once`,
          );
        text = parts.join(to);
      }
      const copy = join(directory, basename(file));
      writeFileSync(copy, text);
      return copy;
    });
    return await compiled('holder', files);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
