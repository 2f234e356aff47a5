import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { openVault } from '../../src/vault.ts';
import { VaultError } from '../../src/vault/error.ts';
import { createKeyFile, readKeyFile } from '../../src/vault/key-file.ts';
import { temporaryDirectory } from '../workers/directory.ts';

const directory = temporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
let file: string;
let count = 0;
beforeEach(() => {
  file = join(directory.path, `key-${count++}`);
});

const newKey = () => randomBytes(32).toString('base64');
const keyFile = (...keys: readonly string[]) => {
  writeFileSync(file, `# of this service\n\n${keys.join('\n')}\n`, { mode: 0o600 });
  return file;
};
const context = 'secrets/repository/acme NPM_TOKEN';

describe('what is sealed', () => {
  test.for(['', 'a', 'hunter2hunter2', '\u{1f511} clé\n', 'x'.repeat(65_536)])(
    'opens again: %.20s',
    (plain) => {
      const vault = openVault(keyFile(newKey()));
      const sealed = vault.seal(plain, context);
      expect(sealed).toMatch(/^v1\.[\w-]{8}\.[\w-]+$/);
      expect(vault.open(sealed, context)).toBe(plain);
      expect(openVault(file).open(sealed, context)).toBe(plain);
    },
  );

  test('is another text each time', () => {
    const vault = openVault(keyFile(newKey()));
    expect(new Set(Array.from({ length: 1000 }, () => vault.seal('same', context))).size).toBe(1000);
  });

  test('does not open when any of its characters was changed, or it was cut', () => {
    const vault = openVault(keyFile(newKey()));
    const sealed = vault.seal('hunter2', context);
    for (let at = 0; at < sealed.length; at++) {
      for (const other of ['A', 'B', '.', '_', '=', '\n']) {
        if (sealed[at] === other) continue;
        const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
        expect(() => vault.open(changed, context), changed).toThrow(VaultError);
      }
      expect(() => vault.open(sealed.slice(0, at), context)).toThrow(VaultError);
    }
    expect(() => vault.open(`${sealed}A`, context)).toThrow(VaultError);
  });

  test.for(['', 'secrets/repository/acme NPM_TOKEN2', 'secrets/organization/acme NPM_TOKEN', `${context} `])(
    'does not open for something else: %j',
    (other) => {
      const vault = openVault(keyFile(newKey()));
      const sealed = vault.seal('hunter2', context);
      expect(() => vault.open(sealed, other)).toThrow(/was changed, or was sealed for something else/);
    },
  );

  test('does not open with another key, and the message names the one that is missing', () => {
    const sealed = openVault(keyFile(newKey())).seal('hunter2', context);
    const id = readKeyFile(file)[0].id;
    const other = openVault(keyFile(newKey()));
    expect(() => other.open(sealed, context)).toThrow(
      `sealed with the key ${id}, which is not in ${file}; put that key back`,
    );
  });
});

describe('several keys', () => {
  const [old, fresh] = [newKey(), newKey()];

  test('all open, and the first one seals', () => {
    const before = openVault(keyFile(old)).seal('hunter2', context);
    const vault = openVault(keyFile(fresh, old));
    expect(vault.open(before, context)).toBe('hunter2');
    expect(vault.isCurrent(before)).toBe(false);
    const after = vault.seal('hunter2', context);
    expect(vault.isCurrent(after)).toBe(true);
    expect(openVault(keyFile(fresh)).open(after, context)).toBe('hunter2');
  });

  test('a key that is added to the file is found by who has read it before', () => {
    const sealed = openVault(keyFile(fresh)).seal('hunter2', context);
    const vault = openVault(keyFile(old));
    expect(() => vault.open(sealed, context)).toThrow(VaultError);
    keyFile(old, fresh);
    expect(vault.open(sealed, context)).toBe('hunter2');
  });
});

describe('a key file', () => {
  test('is made for its owner only, and never replaced', async () => {
    file = join(directory.path, 'new', 'deep', `key-${count}`);
    expect(await createKeyFile(file)).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    expect(await createKeyFile(file)).toBe(false);
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(readdirSync(join(file, '..'))).toHaveLength(1);
    expect(readKeyFile(file)).toHaveLength(1);
  });

  test('is made once by many at a time', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => createKeyFile(file)));
    expect(made.filter(Boolean)).toHaveLength(1);
    expect(readKeyFile(file)).toHaveLength(1);
  });

  test.for(['640', '604', '620', '601'])('is refused when others may use it: mode %s', (mode) => {
    chmodSync(keyFile(newKey()), mode);
    expect(() => readKeyFile(file)).toThrow(`others can read the key of the secrets, ${file}`);
  });

  const key = newKey();
  test.for<[string, string, RegExp]>([
    ['nothing', '', /has no key in it; restore it from a backup/],
    ['a comment', '# key\n', /has no key in it/],
    ['a short key', randomBytes(31).toString('base64'), /line 1, is no key: 32 bytes in base64/],
    ['a long key', randomBytes(33).toString('base64'), /line 1, is no key/],
    ['half a key on its second line', `${key}\n${key.slice(0, 40)}`, /line 2, is no key/],
    ['two keys on a line', `${key} ${key}`, /line 1, is no key/],
  ])('is refused with %s in it, and nothing of it is shown', ([, text, message]) => {
    writeFileSync(file, text, { mode: 0o600 });
    expect(() => readKeyFile(file)).toThrow(message);
    expect(() => readKeyFile(file)).not.toThrow(key.slice(0, 8));
  });

  test('that is not there is asked for when it is needed, not before', () => {
    const vault = openVault(file);
    expect(() => vault.seal('hunter2', context)).toThrow(
      `cannot read the key of the secrets, ${file}: it is not there; copy it there from a backup`,
    );
    keyFile(newKey());
    expect(vault.open(vault.seal('hunter2', context), context)).toBe('hunter2');
  });

  test('that is no file is refused, without waiting for a writer', async () => {
    await run({ file: 'mkfifo', args: ['-m', '600', file] });
    expect(() => readKeyFile(file)).toThrow(/is not a file/);
    mkdirSync(`${file}.d`, { mode: 0o700 });
    expect(() => readKeyFile(`${file}.d`)).toThrow(/is not a file/);
  });
});
