import type { Claim } from '../../../src/queue/claim.ts';
import { groupOf, inWords, type Turns, type TurnWanted } from '../../../src/queue/turn.ts';
import type { Announcement } from '../../../src/queue/turns.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import type { BuildSpec } from '../../../src/spec.ts';
import type { Trust } from '../../../src/trigger.ts';
import { aborted, openService, until, verdict } from './service.ts';
import { makeSpec } from './specs.ts';

/** Workflows of a build: `name group limit`, with `after` for one that waits for others. */
export function wants(words: string, trust: Trust = 'trusted'): TurnWanted[] {
  return words.split(', ').map((each) => {
    const [workflow = '', group = '', limit, after] = each.split(' ');
    return {
      workflow,
      ...groupOf(`group ${group}`, trust),
      limit: Number(limit ?? 1),
      first: after === undefined,
    };
  });
}

/** A build on its worker, as the test has it in its hands. */
export interface Actor {
  readonly claim: Claim;
  readonly turns: Turns;
  /** Workflows that have told that they wait, and what for. */
  readonly told: string[];
  /** Asks for a workflow's turn. */
  take(workflow: string): Promise<void>;
  end(): void;
}

/** A queue whose builds do what their spec's environment says: `WANTS`, and `OTHERS` if they have other workflows. */
export function openActors(connection: RedisHandle, slots = 8) {
  const service = openService(connection);
  const actors = new Map<string, Actor[]>();
  service.consume({ slots }, async (claim) => {
    const { WANTS = '', OTHERS } = claim.spec.environment;
    const announcement: Announcement = {
      wanted: WANTS === '' ? [] : wants(WANTS, claim.spec.trust),
      others: OTHERS === undefined ? 'none' : 'begin',
    };
    const stop = AbortSignal.any([claim.canceled, claim.lost]);
    const announced = await claim.announce(announcement, stop).catch(() => undefined);
    if (!announced) return verdict(claim, 'canceled');
    if (announced.kind === 'aside') {
      return { kind: 'aside', reason: inWords(announced.blocker), record: claim.record };
    }
    // As a worker does it when it has planned the build.
    await service.records.progress(claim.fence, claim.record);
    const ended = Promise.withResolvers<void>();
    const { turns } = announced;
    const told: string[] = [];
    actors.set(claim.spec.id, [
      ...(actors.get(claim.spec.id) ?? []),
      {
        claim,
        turns,
        told,
        take: (workflow) =>
          turns.take(workflow, stop, (blocker) => told.push(`${workflow}: ${inWords(blocker)}`)),
        end: ended.resolve,
      },
    ]);
    await Promise.race([ended.promise, aborted(stop)]);
    return verdict(claim, claim.canceled.aborted ? 'canceled' : 'passed');
  });
  return {
    ...service,
    connection,
    submit: async (environment: BuildSpec['environment'], more: Partial<BuildSpec> = {}) => {
      const spec = makeSpec({ environment, ...more });
      await service.queue.submit(spec);
      return spec.id;
    },
    /** The build when it is on a worker, for the n-th time. */
    actor: (id: string, n = 1) => until(() => actors.get(id)?.[n - 1]),
    /** When the build waits for its turn and has no slot. */
    aside: (id: string) =>
      until(async () => {
        const why = await service.queue.why(id);
        return why?.includes('its turn') ? why : undefined;
      }),
  };
}
