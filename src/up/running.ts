import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../client.ts';

const tellMs = 5_000;

/** Says which builds run, now and whenever that has changed, until `signal` is aborted. */
export async function tellWhatRuns(
  client: Client,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let last = ''; !signal.aborted; ) {
    // The API may be away for a moment; this is only told.
    const now = await running(client).catch(() => last);
    if (signal.aborted) return;
    if (now !== '' && now !== last) say(`waiting for ${now}`);
    last = now;
    await sleep(tellMs, undefined, { signal }).catch(() => {});
  }
}

async function running(client: Client): Promise<string> {
  const found: string[] = [];
  for await (const { id, project = '' } of client.builds({ status: 'running' }))
    found.push(`${id} (${project})`);
  return found.join(', ');
}
