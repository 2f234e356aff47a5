import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** How many processes anything in this process starts meanwhile, by whatever way. */
export async function processesDuring(work: () => Promise<unknown>): Promise<number> {
  let started = 0;
  const count = () => {
    started += 1;
  };
  subscribe('child_process', count);
  try {
    await work();
  } finally {
    unsubscribe('child_process', count);
  }
  return started;
}
