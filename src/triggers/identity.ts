import type { Repository } from '../repositories.ts';

/** Where a repository is on its forge: `owner/name`, from its URL, without `.git`. */
export function pathOf({ url }: Pick<Repository, 'url'>): string {
  return decoded(new URL(url).pathname)
    .replace(/^\/+|\/+$/g, '')
    .replace(/\.git$/i, '');
}

/**
 * Why a delivery that tells of the repository `fullName` does not concern this one: a webhook of an organization tells
 * of all its repositories. Undefined: it is the same. A forge below a path has that in the URLs, not in the names.
 */
export function stranger(repository: Repository, fullName: string): string | undefined {
  const path = pathOf(repository).toLowerCase();
  const name = fullName.toLowerCase();
  if (path === name || path.endsWith(`/${name}`)) return undefined;
  return `it tells of the repository ${fullName}, and ${repository.name} is ${repository.url}`;
}

function decoded(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    // Bytes that are no UTF-8: no forge has such names.
    return path;
  }
}
