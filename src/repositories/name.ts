import type { GitUrl } from '../git/url.ts';

/** Not a name of a repository; the message says why and what one looks like. */
export class RepositoryNameError extends Error {
  override readonly name = 'RepositoryNameError';
}

const longest = 200;
const mostParts = 8;

/**
 * Checks a name such as `acme/app`: parts of letters, digits, `.`, `_` and `-`, none of which begins with a dot or a
 * dash. Gives it back. Throws RepositoryNameError.
 */
export function parseRepositoryName(text: string): string {
  const parts = text.split('/');
  const fits = parts.every((part) => /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(part));
  if (fits && parts.length <= mostParts && text.length <= longest) return text;
  const shown = JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
  throw new RepositoryNameError(
    `${shown} cannot name a repository; use up to ${mostParts} parts of letters, digits, '.', '_' and '-', such as ` +
      `acme/app, none with '.' or '-' first, and at most ${longest} characters`,
  );
}

/** `https://host/acme/app.git` → `acme/app`. Throws RepositoryNameError when that is no name. */
export function nameOfUrl(url: GitUrl): string {
  return parseRepositoryName(placeOfUrl(url));
}

/** Where a repository is on its server, for people: `acme/app`. */
export function placeOfUrl({ path }: GitUrl): string {
  return path.replace(/^\/+(~\/)?/, '').replace(/\.git$/i, '');
}
