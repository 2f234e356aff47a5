import { rm } from 'node:fs/promises';
import { parseOwn } from '../records/json.ts';
import type { Settings } from '../settings.ts';
import { openVault, type Vault } from '../vault.ts';
import { contextOf, type SealedEntry } from './entry.ts';
import { createKeyFile } from './key-file.ts';

const kind = 'vault';
/** Something sealed that is there as soon as anything can be sealed: it tells the right key from another one. */
const proof = 'proof';

/**
 * Sees to it that the file has the key of this service; makes it when nothing was ever sealed. Throws VaultError: the
 * file is missing, or has another key, though something is sealed.
 */
export async function provideKey(file: string, settings: Settings): Promise<'known' | 'made'> {
  const vault = openVault(file);
  if (await isProven(vault, settings)) return 'known';
  const made = await createKeyFile(file);
  const entry: SealedEntry = { sealed: vault.seal(proof, contextOf(kind, proof)) };
  if (await settings.add(kind, proof, JSON.stringify(entry))) return made ? 'made' : 'known';
  // Another process was first, perhaps on another machine: then ours is a key of nothing.
  try {
    await isProven(vault, settings);
    return 'known';
  } catch (error) {
    if (made) await rm(file, { force: true });
    throw error;
  }
}

async function isProven(vault: Vault, settings: Settings): Promise<boolean> {
  const text = await settings.get(kind, proof);
  if (text === undefined) return false;
  vault.open(parseOwn<SealedEntry>(text).sealed, contextOf(kind, proof));
  return true;
}

/**
 * Seals again what was sealed with another key than the first one of the file; returns how many entries. Afterwards
 * the other keys are not needed any more. Throws VaultError.
 */
export async function reseal(settings: Settings, vault: Vault): Promise<number> {
  let resealed = 0;
  for (const each of await settings.kinds('')) {
    for (const [name, text] of await settings.all(each)) {
      const { sealed } = parseOwn<Partial<SealedEntry>>(text);
      if (sealed === undefined || vault.isCurrent(sealed)) continue;
      await settings.change(each, name, (old) => {
        const entry = parseOwn<SealedEntry>(old);
        const context = contextOf(each, name);
        return JSON.stringify({ ...entry, sealed: vault.seal(vault.open(entry.sealed, context), context) });
      });
      resealed++;
    }
  }
  return resealed;
}
