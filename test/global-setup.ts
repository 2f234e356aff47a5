import { makeDebian } from './rootfs.ts';

/** Real sandboxes need root; without it only their tests fail. */
export default async function setup(): Promise<void> {
  if (process.getuid?.() === 0) await makeDebian();
}
