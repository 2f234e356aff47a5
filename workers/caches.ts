import { posix } from 'node:path';
import type { Sandbox, Volume } from '../runtime/sandbox.ts';
import type { CacheRecord } from '../src/build.ts';
import type { Trust } from '../src/trigger.ts';
import type { Plan, PlanCache } from '../src/workflow/plan.ts';
import { type CacheKey, cacheKey } from './caches/key.ts';
import { digest } from './caches/place.ts';
import type { SourceLayers } from './caches/source-files.ts';
import type { SnapshotTiers } from './caches/tiers.ts';
import { bytesWords, sizeWords, timeWords } from './caches/words.ts';

/** Whose caches they are. */
export interface CacheOwner {
  /** Nobody else's project sees what is in its caches. */
  readonly project: string;
  /** An untrusted build reads what trusted ones saved, and saves nothing. */
  readonly trust: Trust;
}

/** The workflow whose caches are restored and saved. */
export interface CacheRequest {
  readonly plan: Pick<Plan, 'caches' | 'workspace'>;
  /** Unique: what a cache without key files is saved under. */
  readonly build: string;
  /** What its key files are read from. */
  readonly source: SourceLayers;
  /** Takes a line for the log. */
  readonly say: (line: string) => void;
}

/** The caches of one workflow, from before its sandbox opens until its steps have ended. */
export interface RestoredCaches {
  /** One for each cache, in the workflow's order. */
  readonly volumes: readonly Volume[];
  readonly records: readonly CacheRecord[];
  /**
   * Saves what the build changed, as the workflow passed and all its containers are gone; returns the records with what
   * was saved. What goes wrong is said in the log and changes no verdict.
   */
  save(sandbox: Pick<Sandbox, 'snapshot'>): Promise<readonly CacheRecord[]>;
}

/** Does not throw: a cache that cannot be restored is empty. */
export type RestoreCaches = (request: CacheRequest) => Promise<RestoredCaches>;

/** Of builds that are to have none. */
export const noCaches: RestoreCaches = async () => ({ volumes: [], records: [], save: async () => [] });

export interface Caches {
  of(owner: CacheOwner): RestoreCaches;
  /** Resolves when nothing of what was saved is on its way to storage any more. */
  settled(): Promise<void>;
}

export interface CachesOptions {
  readonly tiers: SnapshotTiers;
  /** A snapshot has no more bytes than this. */
  readonly maxBytes: number;
}

/** As many as a layer may have (runtime/images/layer-limits.ts). */
const maxEntries = 2_000_000;

/** One cache of a workflow. */
interface Mounted {
  readonly cache: PlanCache;
  readonly volume: Volume;
  /** Undefined: it cannot be told, and nothing is saved. */
  readonly key: CacheKey | undefined;
  readonly record: CacheRecord;
}

export function openCaches({ tiers, maxBytes }: CachesOptions): Caches {
  const mount = async (cache: PlanCache, project: string, request: CacheRequest): Promise<Mounted> => {
    const { source } = request;
    const say = (line: string) => request.say(`cache ${cache.name}: ${line}`);
    const began = performance.now();
    const path = posix.resolve(request.plan.workspace, cache.path);
    const empty = {
      cache,
      volume: { path, layers: [] },
      record: { name: cache.name, restored: 'none' as const },
    };
    let key: CacheKey;
    try {
      key = await cacheKey(source, cache.key);
    } catch (error) {
      say(`not used: ${error instanceof Error ? error.message : String(error)}`);
      return { ...empty, key: undefined };
    }
    if (cache.key.length > 0 && key.kind === 'none')
      say(`no file of the source is ${cache.key.join(' or ')}`);
    const restored = await tiers.restore({ project, name: cache.name }, key, say);
    if (!restored) {
      say('nothing to restore');
      return { ...empty, key };
    }
    const { snapshot, match } = restored;
    const { facts, layer } = snapshot;
    const took = timeWords(performance.now() - began);
    say(
      `restored ${sizeWords(facts)} in ${took} (${match === 'exact' ? 'exact' : `the newest, of ${facts.savedAt}`})`,
    );
    return {
      cache,
      volume: { path, layers: [layer.tree], lock: layer.lock },
      key,
      record: { name: cache.name, restored: match, restoredBytes: facts.bytes },
    };
  };

  const save = async (
    { cache, volume, key, record }: Mounted,
    project: string,
    { build, say }: CacheRequest,
    sandbox: Pick<Sandbox, 'snapshot'>,
  ): Promise<CacheRecord> => {
    const name = { project, name: cache.name };
    if (key === undefined || record.restored === 'exact') return record;
    const saved = key.kind === 'files' ? key.digest : digest(`build ${build}`);
    if (tiers.has(name, saved)) return record;
    const began = performance.now();
    try {
      const { facts } = await tiers.save(name, saved, async (tree) => {
        const copy = await sandbox.snapshot(volume.path, tree, { bytes: maxBytes, entries: maxEntries });
        if (copy.kind === 'copied') return copy;
        throw new NotSaved(
          copy.kind === 'unchanged'
            ? undefined
            : `it has more than ${bytesWords(maxBytes)} or ${maxEntries} entries`,
        );
      });
      say(`cache ${cache.name}: saved ${sizeWords(facts)} in ${timeWords(performance.now() - began)}`);
      return { ...record, savedBytes: facts.bytes };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== '') say(`cache ${cache.name}: not saved: ${reason}`);
      return record;
    }
  };

  return {
    of:
      ({ project, trust }) =>
      async (request) => {
        const mounted = await Promise.all(request.plan.caches.map((cache) => mount(cache, project, request)));
        const records = mounted.map(({ record }) => record);
        return {
          volumes: mounted.map(({ volume }) => volume),
          records,
          save: async (sandbox) => {
            if (trust !== 'trusted') return records;
            const after: CacheRecord[] = [];
            for (const each of mounted) after.push(await save(each, project, request, sandbox));
            return after;
          },
        };
      },
    settled: () => tiers.settled(),
  };
}

/** There is nothing to save, or too much, as the message says. */
class NotSaved extends Error {
  override readonly name = 'NotSaved';
}
