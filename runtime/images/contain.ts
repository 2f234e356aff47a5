import type { Contain } from './layer.ts';

/**
 * Runs commands under the holder's `unpack`: all mounts read-only but the one directory, and no network. So the
 * extractor stays where it is, whatever a layer makes of it.
 */
export function containBy(holder: string): Contain {
  return (directory, { file, args, ...rest }) => ({
    ...rest,
    file: holder,
    args: ['unpack', directory, '--', file, ...args],
  });
}
