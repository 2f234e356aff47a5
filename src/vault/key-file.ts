import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { link, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { VaultError } from './error.ts';

/** A key of AES-256. */
export interface Key {
  /** Made of the key, one way: 8 characters of base64url. */
  readonly id: string;
  readonly bytes: Buffer;
}

const keyBytes = 32;

/**
 * The keys in a file: 32 bytes in base64 a line (as `openssl rand -base64 32` makes them), the one that seals first.
 * Lines that are empty or begin with `#` are skipped. Throws VaultError: it is missing, others may read it, or it has
 * something else in it.
 */
export function readKeyFile(file: string): readonly [Key, ...Key[]] {
  const lines = textOf(file)
    .split('\n')
    .map((line) => line.trim());
  const [first, ...others] = lines
    .map((line, i) => ({ line, number: i + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
    .map(({ line, number }) => parseKey(line, `${file}, line ${number},`));
  if (!first) throw new VaultError(`${file} has no key in it; restore it from a backup`);
  return [first, ...others];
}

/**
 * Makes a file with a new key: mode 0600, whole when it appears, and on disk when this resolves. False: there is a file
 * already, and it stays.
 */
export async function createKeyFile(file: string): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true });
  const partial = `${file}.${randomUUID()}`;
  try {
    const handle = await open(partial, 'wx', 0o600);
    try {
      await handle.writeFile(`${randomBytes(keyBytes).toString('base64')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // Unlike rename it never replaces.
    await link(partial, file);
    await syncDirectory(dirname(file));
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(partial, { force: true });
  }
}

function parseKey(text: string, where: string): Key {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== keyBytes || bytes.toString('base64') !== text) {
    // Never the text itself: it may be half a key.
    throw new VaultError(`${where} is no key: 32 bytes in base64, as openssl rand -base64 32 makes them`);
  }
  const id = createHash('sha256').update('cofferdam key id\n').update(bytes).digest('base64url').slice(0, 8);
  return { id, bytes };
}

function textOf(file: string): string {
  let fd: number;
  try {
    // A FIFO would wait for a writer.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const why = codeOf(error) === 'ENOENT' ? 'it is not there' : String(error);
    throw new VaultError(
      `cannot read the key of the secrets, ${file}: ${why}; copy it there from a backup or from the machine whose API ` +
        'made it, or name another file by COFFERDAM_SECRET_KEY_FILE',
      { cause: error },
    );
  }
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new VaultError(`the key of the secrets, ${file}, is not a file`);
    const own = status.uid === 0 || status.uid === process.getuid?.();
    if (!own || (status.mode & 0o077) !== 0) {
      throw new VaultError(
        `others can read the key of the secrets, ${file}: chown it to this user, and chmod 600 it`,
      );
    }
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined);
