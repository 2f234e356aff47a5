/** GNU tar with a fixed input: what it prints depends on the files alone. */
interface PackCommand {
  readonly file: 'tar';
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** For its stdin: one path a line. */
  readonly input: Buffer;
}

/**
 * Packs a directory to stdout: the same files with the same times give the same bytes, whoever packs them and in which
 * order a filesystem lists them. Sockets are left out.
 * @param hidden paths below the directory that stay out, with all that is below them
 */
export function packCommand(directory: string, hidden: readonly string[]): PackCommand {
  // A list of patterns drops blanks at the end of a line, and cannot hold a line feed.
  const awkward = (path: string) => /\s$|\n/.test(path);
  const excluded = hidden.map((path) => `./${path}`);
  return {
    file: 'tar',
    args: [
      ['--create', '--file=-', '--directory', directory, '--sort=name'],
      ['--owner=0', '--group=0', '--numeric-owner', '--format=posix'],
      // Older versions of tar name extended headers after their process id.
      ['--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'],
      ['--warning=no-file-ignored', '--no-wildcards', '--exclude-from=-'],
      excluded.filter(awkward).map((path) => `--exclude=${path}`),
      ['--', '.'],
    ].flat(),
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    input: Buffer.from(
      excluded
        .filter((path) => !awkward(path))
        .map((path) => `${path}\n`)
        .join(''),
    ),
  };
}
