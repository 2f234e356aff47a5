import { type FileSink, SandboxError, type Sink, type WorkspaceFile } from '../sandbox.ts';

/** Runs `list` or `read` of the holder (runtime/crun/holder/files.c) in the reader's container. */
type Reader = (verb: readonly string[], sink: Sink) => Promise<void>;

const absent = 0xffff_ffff_ffff_ffffn;
/** execve(2) bounds the argument list; far below that bound, so that the environment fits too. */
const argumentBytes = 512 * 1024;

/** Regular files below directories of the workspace. Names that are not UTF-8 cannot be asked for and are left out. */
export async function listFiles(
  reader: Reader,
  directories: readonly string[],
  limit: number,
): Promise<WorkspaceFile[]> {
  const files: WorkspaceFile[] = [];
  if (directories.length === 0) return files;
  let fields: string[] = [];
  let rest: Buffer = Buffer.alloc(0);
  await reader(['list', String(limit), ...directories], (chunk) => {
    const data = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = data.indexOf(0); end >= 0; end = data.indexOf(0, start)) {
      fields.push(data.toString('utf8', start, end));
      start = end + 1;
      if (fields.length < 3) continue;
      const [size, mode, path = ''] = fields;
      if (!path.includes('\ufffd')) files.push({ path, size: Number(size), mode: Number(mode) });
      fields = [];
    }
    rest = data.subarray(start);
  });
  return files;
}

/** Contents, in the order of the list, with the sink as the only buffer. */
export async function readFiles(
  reader: Reader,
  files: readonly WorkspaceFile[],
  sink: FileSink,
): Promise<void> {
  for (const batch of batches(files)) await readBatch(reader, batch, sink);
}

function* batches(files: readonly WorkspaceFile[]): Generator<WorkspaceFile[]> {
  let batch: WorkspaceFile[] = [];
  let bytes = 0;
  for (const file of files) {
    const size = Buffer.byteLength(file.path) + 1;
    if (bytes + size > argumentBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

async function readBatch(reader: Reader, batch: readonly WorkspaceFile[], sink: FileSink): Promise<void> {
  let next = 0;
  let left = 0;
  let head: Buffer = Buffer.alloc(0);

  const finish = async () => {
    await sink.end();
    next++;
  };
  const consume = async (chunk: Buffer) => {
    let data = chunk;
    while (data.length > 0) {
      if (left > 0) {
        const part = data.subarray(0, left);
        data = data.subarray(part.length);
        left -= part.length;
        await sink.data(part);
        if (left === 0) await finish();
        continue;
      }
      const need = 8 - head.length;
      head = Buffer.concat([head, data.subarray(0, need)]);
      data = data.subarray(need);
      if (head.length < 8) return;
      const file = batch[next];
      const size = head.readBigUInt64LE(0);
      head = Buffer.alloc(0);
      if (!file || size === absent) {
        throw new SandboxError('collect', `${file?.path ?? 'a file'} is no longer a regular file`);
      }
      left = Number(size);
      if (left !== file.size) {
        throw new SandboxError(
          'collect',
          `${file.path} has ${left} bytes and had ${file.size} when it was listed`,
        );
      }
      await sink.begin(file);
      if (left === 0) await finish();
    }
  };
  let failed: unknown;
  await reader(['read', ...batch.map(({ path }) => path)], async (chunk) => {
    if (failed) return;
    try {
      await consume(chunk);
    } catch (error) {
      failed = error;
    }
  });
  if (failed) throw failed;
  if (next !== batch.length) throw new SandboxError('collect', 'the workspace changed while it was read');
}
