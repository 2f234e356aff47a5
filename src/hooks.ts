import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ulid } from 'ulid';
import type { Deliveries, Delivery, Outcome } from './deliveries.ts';
import type { Queue } from './queue.ts';
import type { ForgeKind, Repositories, Repository, RepositoryKeys } from './repositories.ts';
import { type Message, PayloadError } from './triggers/forge.ts';
import { forgeOf } from './triggers/forges.ts';
import { intake } from './triggers/intake.ts';
import { headerOf } from './triggers/signature.ts';

/** Nobody who may has sent it; the message says nothing of what was wrong, so that nothing can be found out. */
export class ForgedDeliveryError extends Error {
  override readonly name = 'ForgedDeliveryError';
}

/** There is no such delivery any more, or nothing it could be built for; the message says which. */
export class ReplayError extends Error {
  override readonly name = 'ReplayError';
}

/** What became of a delivery. */
export interface Receipt {
  /** Its id here. */
  readonly id: string;
  /** False: it came before, and this is what became of it then. */
  readonly isNew: boolean;
  readonly outcome: Outcome;
}

/** Deliveries become builds: each exactly once, whatever crashes, however often it comes. */
export interface Hooks {
  /** Throws ForgedDeliveryError, VaultError. */
  receive(forge: ForgeKind, repository: string, message: Message): Promise<Receipt>;
  /** Reads a kept delivery by today's policy and builds it once more; no newer build is canceled. Throws ReplayError. */
  replay(id: string): Promise<Outcome>;
  /** Builds what a process that died had kept and not built. To be called every second by every process. */
  tick(): Promise<void>;
}

export interface HooksOptions {
  readonly repositories: Repositories;
  readonly deliveries: Deliveries;
  readonly queue: Pick<Queue, 'submit'>;
  /** Errors of deliveries that are tried again. */
  readonly onTrouble: (error: unknown) => void;
  /** For how long what is being handled is not handled by others; default 5 s. */
  readonly patienceMs?: number;
}

/**
 * Tried beside a repository's secrets, so that there are always two, as while a secret is changed: how long a wrong
 * signature takes then says nothing of whether there is a repository.
 */
const decoys = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];

/** A repository, and whether its forge can be reported to. */
interface Known {
  readonly repository: Repository;
  readonly keys: RepositoryKeys;
}

export function openHooks(options: HooksOptions): Hooks {
  const { repositories, deliveries, queue, onTrouble, patienceMs = 5_000 } = options;
  const find = async (name: string): Promise<Known | undefined> => {
    const [repository, keys] = await Promise.all([repositories.get(name), repositories.keys(name)]);
    return repository && keys && { repository, keys };
  };

  /** Submits what a delivery asks for. The same run again makes the same builds: their ids follow from its own. */
  const build = async (
    delivery: Pick<Delivery, 'id' | 'forge' | 'headers'>,
    body: Buffer,
    { repository, keys }: Known,
    run: { readonly id: string; readonly older: 'cancel' | 'keep' },
  ): Promise<Outcome> => {
    let events: ReturnType<ReturnType<typeof forgeOf>['read']>;
    try {
      events = forgeOf(delivery.forge).read({ headers: delivery.headers, body }, repository);
    } catch (error) {
      if (error instanceof PayloadError) return { kind: 'malformed', message: error.message };
      throw error;
    }
    const builds: string[] = [];
    const ignored: string[] = [];
    for (const [index, event] of events.entries()) {
      const made = intake(repository, event, {
        id: buildIdOf(run.id, index),
        requestedBy: `hook:${repository.name}`,
        delivery: delivery.id,
        report: keys.forgeToken === undefined ? 'none' : 'forge',
        older: run.older,
      });
      if (made.kind === 'ignored') ignored.push(made.reason);
      else builds.push((await queue.submit(made.spec)).record.id);
    }
    return { kind: 'read', builds, ignored };
  };

  const handle = async (delivery: Delivery, body: Buffer, known: Known): Promise<Outcome> => {
    const outcome = await build(delivery, body, known, { id: delivery.id, older: 'cancel' });
    return await deliveries.settle(delivery.id, outcome);
  };

  /** Handles what was kept before, if it is not gone. */
  const resume = async (id: string): Promise<Outcome | undefined> => {
    const [delivery, body] = await Promise.all([deliveries.get(id), deliveries.body(id)]);
    if (!delivery || !body) return undefined;
    if (delivery.outcome) return delivery.outcome;
    const known = await find(delivery.repository);
    if (known?.repository.forge === delivery.forge) return await handle(delivery, body, known);
    const reason = `there is no repository ${delivery.repository} of ${delivery.forge} any more`;
    return await deliveries.settle(id, { kind: 'read', builds: [], ignored: [reason] });
  };

  return {
    receive: async (kind, name, message) => {
      const forge = forgeOf(kind);
      const known = await find(name);
      const isMeant = known?.repository.forge === kind;
      const secrets = isMeant ? known.keys.webhookSecrets : [];
      const isGenuine = forge.authenticate(message, [...secrets, ...decoys.slice(secrets.length)]);
      if (!isMeant || !isGenuine) {
        throw new ForgedDeliveryError('no repository of that name has a secret that makes this signature');
      }

      const { headers, body } = message;
      const event = forge.headers.map((each) => headerOf(headers, each)).find((each) => each !== undefined);
      const delivery = {
        id: ulid(),
        repository: known.repository.name,
        forge: kind,
        receivedAt: new Date().toISOString(),
        headers: Object.fromEntries(
          forge.headers.map((each) => [each, headerOf(headers, each)]),
        ) satisfies IncomingHttpHeaders,
        ...(event !== undefined && { event: event.slice(0, 100) }),
      };
      const key = forge.deliveryId(headers) ?? createHash('sha256').update(body).digest('hex');
      const { id, isNew, outcome } = await deliveries.keep(delivery, body, key);
      if (outcome) return { id, isNew, outcome };
      if (isNew) {
        const whole = { ...delivery, bytes: body.length };
        return { id, isNew, outcome: await handle(whole, body, known) };
      }
      // The first one is being handled, or nobody does any more: the builds are the same.
      return { id, isNew, outcome: (await resume(id)) ?? { kind: 'read', builds: [], ignored: [] } };
    },
    replay: async (id) => {
      const [delivery, body] = await Promise.all([deliveries.get(id), deliveries.body(id)]);
      if (!delivery || !body) {
        throw new ReplayError(`there is no delivery ${id}; they are kept for seven days`);
      }
      const known = await find(delivery.repository);
      if (known?.repository.forge !== delivery.forge) {
        throw new ReplayError(`there is no repository ${delivery.repository} of ${delivery.forge} any more`);
      }
      return await build(delivery, body, known, { id: ulid(), older: 'keep' });
    },
    tick: async () => {
      for (const id of await deliveries.due(patienceMs)) await resume(id).catch(onTrouble);
    },
  };
}

/** Crockford's Base32, of which ULIDs are made. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The ULID of the nth build of a run: at the run's time, and always the same. */
function buildIdOf(run: string, index: number): string {
  const digest = createHash('sha256').update(`${run} ${index}`).digest();
  const random = [...digest.subarray(0, 16)].map((byte) => alphabet[byte % 32] ?? '');
  return run.slice(0, 10) + random.join('');
}
