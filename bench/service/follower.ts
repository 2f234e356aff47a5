import { createHash } from 'node:crypto';
import { keepAlive, send, type Target } from './http.ts';

/** A process of its own that follows one build many times over SSE. Prints Followed. */
export interface FollowTask extends Target {
  readonly id: string;
  readonly count: number;
  /** Of the log, after its first line. */
  readonly lines: number;
  readonly lineBytes: number;
}

export interface Followed {
  /** Of all log data of all followers, as the build wrote it. */
  readonly bytes: number;
  /** From the first byte of log to the last one. */
  readonly ms: number;
  /** Followers that missed bytes, or got some twice. */
  readonly wrong: number;
}

const task: FollowTask = JSON.parse(process.argv[2] ?? '');
const agent = keepAlive();
/** So many compare every byte; the others the positions of what they get, which is cheap enough for all. */
const thorough = 10;
let first = Infinity;
let bytes = 0;

const idLine = /^id: \d+:(\d+)$/;
const offsetField = /^data: \{"attempt":\d+,"offset":(\d+),/;

/** What was wrong, and how often. */
const wrongs = new Map<string, number>();

async function follow(number: number): Promise<boolean> {
  const headers = { accept: 'text/event-stream' };
  const stream = await send(task, agent, `/v1/builds/${task.id}/logs`, { headers });
  const hash = createHash('sha256');
  let position = 0;
  let end = 0;
  let wrong: string | undefined;
  let ended = false;
  let rest: Buffer[] = [];
  const line = (text: Buffer) => {
    if (text[0] === 0x69 && text.length < 60) {
      end = Number(idLine.exec(text.toString('latin1'))?.[1] ?? end);
      if (text.toString('latin1') === 'id: end') ended = true;
    }
    if (text[0] !== 0x64 || ended) return;
    const offset = offsetField.exec(text.toString('latin1', 0, 60))?.[1];
    if (offset === undefined) return;
    // Its first line is the command itself, which waits for all followers before it writes.
    if (position > 0) first = Math.min(first, performance.now());
    if (Number(offset) !== position || end <= position) wrong ??= 'bytes missing, or sent twice';
    position = end;
    if (number >= thorough) return;
    const event: { text?: string; base64?: string } = JSON.parse(text.toString('utf8', 6));
    hash.update(event.text ?? Buffer.from(event.base64 ?? '', 'base64'));
  };
  const take = (chunk: Buffer) => {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const part = chunk.subarray(from, at);
      line(rest.length > 0 ? Buffer.concat([...rest, part]) : part);
      rest = [];
      from = at + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  };
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) take(chunk);
  } catch (error) {
    wrong ??= `broken off: ${String(error)}`;
  }
  bytes += position;
  const headBytes = position - task.lines * task.lineBytes;
  if (!ended) wrong ??= `no end event, status ${stream.statusCode}`;
  if (headBytes <= 0) wrong ??= 'bytes missing at the end';
  if (number < thorough) hashes.add(`${position} ${hash.digest('hex')}`);
  if (wrong !== undefined) wrongs.set(wrong, (wrongs.get(wrong) ?? 0) + 1);
  return wrong === undefined;
}

const hashes = new Set<string>();
const results = await Promise.all(Array.from({ length: task.count }, (_, i) => follow(i)));
const ms = performance.now() - first;
const wrong = results.filter((right) => !right).length + (hashes.size === 1 ? 0 : thorough);
const followed: Followed = { bytes, ms, wrong };
process.stdout.write(JSON.stringify(followed));
for (const [what, count] of wrongs) process.stderr.write(`${count} followers: ${what}\n`);
agent.destroy();
