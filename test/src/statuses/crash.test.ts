import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { start } from '../../../runtime/command.ts';
import { useRedis } from '../../redis.ts';
import { aborted, until, verdict } from '../queue/service.ts';
import { type Mood, startForge } from './forge-server.ts';
import { openSite, pushSpec } from './site.ts';
import { tellerScript } from './teller-process.ts';

const redis = useRedis();

/** When the process dies, as the forge sees it, and what became of the request under way. */
const moments: readonly (readonly [string, Mood])[] = [
  ['before the forge took the state', 'silent'],
  ['after it took the state, before it answered', 'lost'],
  ['when it had answered', 'well'],
];

test.for(moments)(
  'a teller that is killed %s loses nothing, and says nothing backwards',
  async ([, mood]) => {
    const forge = await startForge('gitlab');
    const handle = await redis.connect();
    const { queue, consume, concluded, directory } = openSite(handle, 'gitlab', forge);
    const launch = () =>
      start(
        {
          file: process.execPath,
          args: [tellerScript, redis.url(), handle.prefix.slice(1, -2), `file:${directory}`, forge.url],
        },
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
    let teller = launch();
    onTestFinished(() => void teller.kill('SIGKILL'));
    const done = new AbortController();

    /** Kills the teller as soon as it has told of a state, or tried to; the next one begins. */
    const crashAt = async (requests: number): Promise<void> => {
      await until(() => forge.requests.length >= requests, 20_000);
      teller.kill('SIGKILL');
      await once(teller, 'close');
      forge.mood = () => 'well';
      teller = launch();
    };
    forge.mood = () => mood;
    await queue.submit(pushSpec('a'.repeat(40)));
    await crashAt(1);
    await until(() => forge.taken.at(-1)?.state === 'pending', 20_000);

    forge.mood = () => mood;
    consume({}, async (claim) => {
      await aborted(done.signal);
      return verdict(claim);
    });
    await crashAt(forge.requests.length + 1);
    await until(() => forge.taken.at(-1)?.state === 'running', 20_000);

    forge.mood = () => mood;
    done.abort();
    await crashAt(forge.requests.length + 1);
    await until(concluded, 20_000);
    const states = forge.taken.map(({ state }) => state);
    // A verdict whose receipt was lost comes twice.
    expect(states.filter((state, i) => state !== states[i - 1])).toEqual(['pending', 'running', 'success']);
  },
);
