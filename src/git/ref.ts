/** A name that is no full ref, or no commit; the message says why and what to write. */
export class GitRefError extends Error {
  override readonly name = 'GitRefError';
}

/** Bytes. No forge allows more than 255, which is also what one file name may have. */
const longest = 1000;

/**
 * Checks a full ref, such as `refs/heads/main`, by the rules of git-check-ref-format(1), and some more: below `refs/`,
 * no control characters of Unicode, no part that is longer than a file name, and a short name that no command would
 * take for an option. Gives it back. Throws GitRefError.
 */
export function parseRef(text: string): string {
  const reason = flaw(text);
  if (reason === undefined) return text;
  const shown = JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
  throw new GitRefError(`${shown} is no ref: ${reason}; write one such as refs/heads/main or refs/tags/v1`);
}

/** `main` → `refs/heads/main`; a full ref of a branch stays. Throws GitRefError. */
export function parseBranch(name: string): string {
  return parseRef(name.startsWith('refs/heads/') ? name : `refs/heads/${name}`);
}

/** A full commit id of SHA-1 or SHA-256, in lower case. Throws GitRefError. */
export function parseSha(text: string): string {
  if (/^([\da-f]{40}|[\da-f]{64})$/i.test(text)) return text.toLowerCase();
  const shown = JSON.stringify(text.slice(0, 100));
  throw new GitRefError(`${shown} is no commit: write all 40 or 64 hexadecimal digits of its id`);
}

function flaw(text: string): string | undefined {
  const parts = text.split('/');
  if (parts[0] !== 'refs' || parts.length < 3) return 'it is not below refs/heads/, refs/tags/ or the like';
  if (Buffer.byteLength(text) > longest) return `it is longer than ${longest} bytes`;
  if (!text.isWellFormed()) return 'it is no Unicode text';
  if (/\p{Cc}/u.test(text)) return 'it has a control character';
  if (/[ ~^:?*[\\]/.test(text)) return 'it has a space, or one of the characters ~ ^ : ? * [ \\';
  if (text.includes('..') || text.includes('@{')) return "it has '..' or '@{' in it";
  if (text.endsWith('.')) return 'it ends with a dot';
  if (parts[2]?.startsWith('-')) return 'its name begins with a dash';
  for (const part of parts) {
    if (part === '') return 'it has an empty part';
    if (part.startsWith('.')) return 'a part of it begins with a dot';
    if (part.endsWith('.lock')) return "a part of it ends with '.lock'";
    if (Buffer.byteLength(part) > 255) return 'a part of it is longer than 255 bytes';
  }
  return undefined;
}
