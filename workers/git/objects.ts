import { start } from '../../runtime/command.ts';
import { gitCommand } from './environment.ts';
import { MirrorDamaged } from './mirror-damaged.ts';

export interface ObjectInfo {
  readonly id: string;
  readonly type: 'commit' | 'tree' | 'blob' | 'tag';
  /** Bytes. */
  readonly size: number;
}

/** What a directory of a commit has, with the mode as git writes it. */
export interface TreeEntry {
  readonly mode: string;
  readonly id: string;
  /** One character for each byte. */
  readonly name: string;
}

/**
 * The objects of a repository, from one process for as many questions as there are. Objects are named as for
 * git-rev-parse(1), by ids and what can be added to them. All methods throw MirrorDamaged.
 */
export interface Objects {
  /** Undefined for what is not here. */
  info(name: string): Promise<ObjectInfo | undefined>;
  /** Undefined for what is not here, or is no tree. */
  entries(name: string): Promise<TreeEntry[] | undefined>;
  blob(name: string): Promise<Buffer | undefined>;
  close(): void;
}

interface Question {
  readonly wants: 'info' | 'contents';
  readonly answer: PromiseWithResolvers<{ info: ObjectInfo; content: Buffer } | undefined>;
}

/** See `--batch-command` in git-cat-file(1). */
export function openObjects(repository: string): Objects {
  const questions: Question[] = [];
  let pending: Buffer = Buffer.alloc(0);
  let chunks: Buffer[] = [];
  let needed = 0;
  let end: MirrorDamaged | undefined;
  const child = start(gitCommand(repository, ['cat-file', '--batch-command']), {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const { stdin, stdout } = child;
  if (!stdin || !stdout) throw new TypeError('git was started without pipes');

  const fail = (reason: string, cause?: unknown) => {
    end ??= new MirrorDamaged(`the mirror cannot be read: git cat-file ${reason}`, { cause });
    for (const { answer } of questions.splice(0)) answer.reject(end);
  };
  /** Takes the next answer off `pending`; else tells in `needed` how many bytes it takes. */
  const take = (): boolean => {
    const [question] = questions;
    const line = pending.indexOf('\n');
    if (!question || line < 0) return false;
    const [id = '', type = '', text = ''] = pending.subarray(0, line).toString('latin1').split(' ');
    const size = Number(text);
    let after = line + 1;
    if (!isType(type) || !/^\d+$/.test(text)) question.answer.resolve(undefined);
    else {
      if (question.wants === 'contents') after += size + 1;
      needed = after;
      if (pending.length < after) return false;
      question.answer.resolve({
        info: { id, type, size },
        content: pending.subarray(line + 1, line + 1 + size),
      });
    }
    needed = 0;
    questions.shift();
    pending = pending.subarray(after);
    return true;
  };
  stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (chunks.reduce((sum, { length }) => sum + length, pending.length) < needed) return;
    pending = Buffer.concat([pending, ...chunks]);
    chunks = [];
    while (take());
  });
  stdin.on('error', () => {});
  child.on('error', (error) => fail('cannot be started', error));
  child.on('close', (code) => fail(`ended with ${code}`));

  const ask = (wants: Question['wants'], name: string) => {
    if (end) return Promise.reject(end);
    const answer = Promise.withResolvers<{ info: ObjectInfo; content: Buffer } | undefined>();
    questions.push({ wants, answer });
    stdin.write(`${wants} ${name}\n`);
    return answer.promise;
  };

  return {
    info: async (name) => (await ask('info', name))?.info,
    entries: async (name) => {
      const found = await ask('contents', name);
      return found?.info.type === 'tree' ? parseTree(found.content, found.info.id.length / 2) : undefined;
    },
    blob: async (name) => {
      const found = await ask('contents', name);
      return found?.info.type === 'blob' ? found.content : undefined;
    },
    close: () => stdin.end(),
  };
}

function isType(text: string): text is ObjectInfo['type'] {
  return text === 'commit' || text === 'tree' || text === 'blob' || text === 'tag';
}

/** A tree object: `MODE NAME NUL ID`, one after another. */
function parseTree(bytes: Buffer, idBytes: number): TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < bytes.length; ) {
    const zero = bytes.indexOf(0, at);
    const id = bytes.subarray(zero + 1, zero + 1 + idBytes);
    if (zero < 0 || id.length < idBytes) throw new MirrorDamaged('the mirror has a tree that ends too early');
    const [, mode = '', name = ''] = /^(\d+) ([^]*)$/.exec(bytes.subarray(at, zero).toString('latin1')) ?? [];
    entries.push({ mode, name, id: id.toString('hex') });
    at = zero + 1 + idBytes;
  }
  return entries;
}
