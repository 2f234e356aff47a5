import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { newSecret, type Tokens } from '../tokens.ts';

/**
 * Sees to it that a file has an admin token of this service, for the commands of this machine. It is written before it
 * is made known, so that a crash between leaves nothing that nobody has. `foreign`: the file has a token that this
 * service does not know though it knows others; it was revoked, or is of another service, and stays as it is.
 */
export async function provideToken(file: string, tokens: Tokens): Promise<'known' | 'made' | 'foreign'> {
  const kept = await readSecret(file);
  if (kept !== undefined) {
    if (await tokens.verify(kept)) return 'known';
    if ((await tokens.list()).length > 0) return 'foreign';
  }
  const secret = kept ?? newSecret();
  if (kept === undefined) await writeSecret(file, secret);
  await tokens.create({ name: `admin of ${hostname()}`, scopes: ['admin'], secret });
  return 'made';
}

async function readSecret(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim() || undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Never readable by others, not for a moment, and on disk before the token counts. */
async function writeSecret(file: string, secret: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}`;
  const handle = await open(partial, 'w', 0o600);
  try {
    await handle.chmod(0o600);
    await handle.writeFile(`${secret}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}
