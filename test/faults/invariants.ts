import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildRecord } from '../../src/build.ts';
import type { Client } from '../../src/client.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { expectationOf } from './job.ts';
import { type Entry, type Ledger, verdictOf } from './ledger.ts';
import type { Service } from './service.ts';

/** What a fault may cost beyond nothing. */
export interface Tolerance {
  /** Whether this `errored` or `timed_out` is an honest account of what the fault did. */
  readonly errored?: (record: BuildRecord) => boolean;
  /** Whether its worker may have canceled this build. */
  readonly canceled?: (record: BuildRecord) => boolean;
  /** Whether this build may be gone without a trace: the server was made to forget what it acknowledged. */
  readonly forgotten?: (entry: Entry) => boolean;
  /** Whether a verdict that was told may have been forgotten, and the build run again to the same end. */
  readonly again?: boolean;
  /** Workers that nothing was done to, and that nothing ran on that was attacked: no attempt on them may break. */
  readonly untouched?: readonly string[];
}

/** I1 to I4 and I6, when everything has ended. Each violation is a sentence. */
export async function violationsOf(
  ledger: Ledger,
  { client, store }: Service,
  tolerance: Tolerance,
): Promise<string[]> {
  const found = [...ledger.violations];
  for (const entry of ledger.entries) {
    const tell = (text: string) => void found.push(`${text} (build ${entry.id})`);
    const record = await client.build(entry.id).catch((error: unknown) => {
      if (!tolerance.forgotten?.(entry)) tell(`I1 cannot be shown: ${String(error)}`);
    });
    if (!record) continue;
    checkVerdict(entry, record, tolerance, tell);
    await checkLog(entry, record, client, tolerance, tell);
    await checkArchive(record, store, tell);
    await checkArtifact(entry, record, client, tell);
  }
  return found;
}

type Tell = (text: string) => void;

function checkVerdict(entry: Entry, record: BuildRecord, tolerance: Tolerance, tell: Tell): void {
  const expected = expectationOf(entry.job);
  const verdict = verdictOf(record);
  if (entry.verdicts.size > 1) tell(`I2 verdicts ${[...entry.verdicts].join(' and ')}`);
  if (entry.verdicts.size > 0 && !entry.verdicts.has(verdict)) tell(`I2 is ${verdict} at last`);
  if (record.status === 'queued' || record.status === 'running') return tell(`I1 is ${record.status}`);
  for (const { attempt, worker, status, reason, message } of record.attempts ?? []) {
    const broken = status === 'errored' || status === undefined;
    if (broken && tolerance.untouched?.includes(worker))
      tell(`I6 attempt ${attempt} broke on ${worker}: ${reason ?? ''} ${message ?? ''}`);
  }
  if (record.status === expected.status) {
    const exitCode = record.workflows[0]?.steps[0]?.exitCode;
    if (exitCode !== expected.exitCode) tell(`I3 exit code ${exitCode} instead of ${expected.exitCode}`);
    return;
  }
  if (record.status === 'canceled' && (entry.canceled || tolerance.canceled?.(record))) return;
  if (record.status === 'failed' || record.status === 'passed')
    return tell(`I3 ${verdict} instead of ${expected.status}`);
  if (!tolerance.errored?.(record)) tell(`I1 ${verdict}: ${record.message ?? ''}`);
}

/** The archive's log, the API's, and what followers saw are all what the build wrote; broken ones are a part of it. */
async function checkLog(
  { job, logs }: Entry,
  record: BuildRecord,
  client: Client,
  { again = false }: Tolerance,
  tell: Tell,
): Promise<void> {
  const { log: whole } = expectationOf(job);
  const complete = record.status === 'passed' || record.status === 'failed';
  const kept = Buffer.concat(await Array.fromAsync(await client.log(record.id)));
  compare('the archived log', kept, whole, complete, tell);
  const attempt = again ? Math.max(...logs.keys()) : record.attempt;
  const followed = Buffer.concat(logs.get(attempt) ?? []);
  compare('what SSE brought', followed, whole, complete, tell);
  if (complete && record.log.bytes !== whole.length)
    tell(`I4 the record says ${record.log.bytes} bytes of log, not ${whole.length}`);
}

function compare(what: string, got: Buffer, whole: Buffer, complete: boolean, tell: Tell): void {
  // What the platform says in a log is marked, and stands at the end of an attempt that broke.
  const said = complete ? -1 : got.indexOf('[cofferdam: ');
  const bytes = said < 0 ? got : got.subarray(0, said);
  const same = complete ? bytes.equals(whole) : whole.subarray(0, bytes.length).equals(bytes);
  if (same) return;
  const at = [...bytes].findIndex((byte, i) => byte !== whole[i]);
  tell(
    `I4 ${what}: ${bytes.length} bytes of ${whole.length}, the first difference at ${at < 0 ? bytes.length : at}`,
  );
}

/** Whoever ended it archives it; if that process dies, another one after 10 s. */
const archivedMs = 20_000;

async function checkArchive(record: BuildRecord, store: string, tell: Tell): Promise<void> {
  const deadline = performance.now() + archivedMs;
  let archived = await archivedRecord(store, record.id);
  for (; !archived && performance.now() < deadline; archived = await archivedRecord(store, record.id)) {
    await sleep(50);
  }
  if (!archived) return tell('I1 is not in the archive');
  if (verdictOf(archived) !== verdictOf(record))
    tell(`I2 the archive says ${verdictOf(archived)}, the API ${verdictOf(record)}`);
}

export async function archivedRecord(store: string, id: string): Promise<BuildRecord | undefined> {
  const storage = openStorage(store);
  const key = `builds/${id}/record.json`;
  if (!(await storage.head(key))) return undefined;
  const { body } = await storage.get(key);
  const record: BuildRecord = JSON.parse((await buffer(body)).toString());
  return record;
}

async function checkArtifact({ job }: Entry, record: BuildRecord, client: Client, tell: Tell): Promise<void> {
  const { artifact } = expectationOf(job);
  if (record.status !== 'passed' || !artifact) return;
  const [listed] = await client.artifacts(record.id);
  const sha256 = createHash('sha256').update(artifact).digest('hex');
  if (listed?.sha256 !== sha256) return tell('I4 the artifact is not what the build wrote');
  const bytes = Buffer.concat(await Array.fromAsync(await client.artifact(record.id, 'out')));
  if (!bytes.equals(artifact)) tell('I4 the artifact in storage is not the one in the record');
}
