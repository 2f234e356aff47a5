/**
 * Throws TypeError for a key that not every storage can hold: segments between slashes, none of them empty, `.` or
 * `..`, and not `.tmp` at the front, where files are written before they are whole.
 */
export function checkKey(key: string): void {
  const segments = key.split('/');
  if (segments.some((each) => each === '' || each === '.' || each === '..') || key.includes('\0')) {
    throw new TypeError(`'${key}' cannot be a storage key`);
  }
  if (segments[0] === '.tmp') throw new TypeError(`'${key}' is a place for unfinished files`);
}

/** Throws TypeError unless it ends in a slash, as `builds/01J…/`. */
export function checkPrefix(prefix: string): void {
  if (!prefix.endsWith('/')) throw new TypeError(`a storage prefix ends in '/', not as '${prefix}'`);
  checkKey(prefix.slice(0, -1));
}
