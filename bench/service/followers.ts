import { join } from 'node:path';
import { run } from '../../runtime/command.ts';
import type { Row } from '../row.ts';
import type { Site } from '../site.ts';
import type { FollowTask, Followed } from './follower.ts';
import { ask, keepAlive } from './http.ts';
import { residentOf, type Stack, startStack, type StackOptions } from './stack.ts';
import { submissionOf, workflowOf } from './submissions.ts';

const MB = 1_000_000;
const MiB = 1024 ** 2;
/** Of each line, its end included. */
const lineBytes = 100;

interface Crowd extends Followed {
  readonly peakMiB: number;
}

/** Many followers of one build that writes 10 MB/s, beside one follower. */
export async function followers(site: Site, options: StackOptions): Promise<Row[]> {
  const seconds = Math.max(1, Math.round(site.runs * 0.03));
  const many = site.runs * 10;
  const stack = await startStack(site, options);
  try {
    await stack.startWorker();
    const one = await follow(site, stack, 1, seconds);
    const all = await follow(site, stack, many, seconds);
    return [
      {
        what: `${many} followers, ${seconds * 10} MB each: sent to all of them`,
        unit: 'MB/s',
        better: 'more',
        samples: [(all.bytes / MB / all.ms) * 1000],
        peers: [{ name: '1 follower', samples: [(one.bytes / MB / one.ms) * 1000] }],
      },
      {
        what: 'followers that did not get every byte once, in order',
        unit: 'followers',
        better: 'less',
        samples: [all.wrong],
        target: 0,
      },
      {
        what: 'memory of the API at its peak',
        unit: 'MiB',
        better: 'less',
        samples: [all.peakMiB],
        peers: [{ name: '1 follower', samples: [one.peakMiB] }],
      },
    ];
  } finally {
    await stack.close();
  }
}

async function follow(site: Site, stack: Stack, count: number, seconds: number): Promise<Crowd> {
  const lines = (10 * MB) / 10 / lineBytes;
  // Ten bursts a second; each line has its number, so that order shows.
  const program = [
    `$|=1;use Time::HiRes qw(time sleep);$n=0;$t=time;`,
    `for $k (1..${seconds * 10}){$b="";for(1..${lines}){$b.=sprintf("%0${lineBytes - 1}d\\n",$n++)}print $b;`,
    `$w=$t+$k/10-time;sleep $w if $w>0}`,
  ];
  const agent = keepAlive();
  // The followers are all there when it begins to write.
  const workflow = workflowOf(site.image.ref, `sleep 3; perl -e '${program.join('')}'`);
  const body = JSON.stringify(submissionOf('followed', workflow));
  const { id }: { id: string } = JSON.parse(await ask(stack, agent, '/v1/builds', { body }));
  agent.destroy();
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, residentOf(stack.pids.serve))), 100);
  const task: FollowTask = {
    url: stack.url,
    token: stack.token,
    id,
    count,
    lines: lines * seconds * 10,
    lineBytes,
  };
  const args = [join(import.meta.dirname, 'follower.ts'), JSON.stringify(task)];
  const { stdout } = await run({ file: process.execPath, args }, { onStderrLine: site.progress });
  clearInterval(watch);
  const followed: Followed = JSON.parse(stdout.toString());
  return { ...followed, peakMiB: peak / MiB };
}
