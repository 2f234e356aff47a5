import { randomBytes } from 'node:crypto';
import { createScript, type Script } from '../redis/script.ts';
import type { RedisHandle } from '../redis.ts';
import type { Caps } from './caps.ts';
import { admission } from './lua/admission.ts';
import { claimLua } from './lua/claim.ts';
import { explainLua, statsLua } from './lua/explain.ts';
import { fleet } from './lua/fleet.ts';
import { life } from './lua/life.ts';
import { prelude } from './lua/prelude.ts';
import { reports, settleReportLua, takeReportsLua } from './lua/reports.ts';
import { approveLua, cancelLua, finishLua, giveBackLua } from './lua/settle.ts';
import { submitLua } from './lua/submit.ts';
import { supersession } from './lua/supersede.ts';
import { handAgainLua, tickLua } from './lua/tick.ts';
import type { Replies } from './replies.ts';
import { announceTurnsLua, leaveTurnLua, takeTurnLua, turns } from './lua/turns.ts';
import { waiting } from './lua/waiting.ts';
import { beatLua, buryLua, registerLua } from './lua/workers.ts';

/**
 * The data in Redis is not the data this process worked with: FLUSHALL, another data directory, a restore of an older
 * copy. Nothing is written on top of it. Restart the process to go on with what is there.
 */
export class QueueStateLostError extends Error {
  override readonly name = 'QueueStateLostError';

  constructor(options?: ErrorOptions) {
    super(
      'the queue in Redis is gone or was replaced while this process ran (FLUSHALL, another data directory, an older ' +
        'copy); finished builds are still in the archive. Find out what happened, then restart all processes',
      options,
    );
  }
}

const library = [prelude, waiting, fleet, reports, turns, life, supersession, admission].join('\n');
const compile = (body: string) => createScript(`${library}\n${body}`);

const scripts = {
  submit: compile(submitLua),
  claim: compile(claimLua),
  finish: compile(finishLua),
  giveBack: compile(giveBackLua),
  cancel: compile(cancelLua),
  approve: compile(approveLua),
  register: compile(registerLua),
  beat: compile(beatLua),
  bury: compile(buryLua),
  tick: compile(tickLua),
  handAgain: compile(handAgainLua),
  announceTurns: compile(announceTurnsLua),
  takeTurn: compile(takeTurnLua),
  leaveTurn: compile(leaveTurnLua),
  takeReports: compile(takeReportsLua),
  settleReport: compile(settleReportLua),
  explain: compile(explainLua),
  stats: compile(statsLua),
} satisfies Record<keyof Replies, Script>;

export type Call = <S extends keyof Replies>(script: S, ...args: (string | number)[]) => Promise<Replies[S]>;

/**
 * Calls the queue's scripts. The first call adopts the data that is there, or begins anew; from then on each call
 * throws QueueStateLostError when that data is gone.
 */
export function createCall({ client, prefix }: RedisHandle, caps: Caps): Call {
  let adopted: Promise<string> | undefined;
  const adopt = async () => {
    const key = `${prefix}epoch`;
    await client.set(key, randomBytes(12).toString('base64url'), 'NX');
    return (await client.get(key)) ?? '';
  };
  return async <S extends keyof Replies>(script: S, ...args: (string | number)[]) => {
    adopted ??= adopt();
    let epoch: string;
    try {
      epoch = await adopted;
    } catch (error) {
      adopted = undefined;
      throw error;
    }
    try {
      const reply = await scripts[script].run(
        client,
        [prefix],
        [epoch, caps.project ?? 0, caps.group, ...args],
      );
      // The scripts are ours; their replies are as tested.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return reply as Replies[S];
    } catch (error) {
      if (error instanceof Error && error.message.includes('STATELOST')) {
        throw new QueueStateLostError({ cause: error });
      }
      throw error;
    }
  };
}
