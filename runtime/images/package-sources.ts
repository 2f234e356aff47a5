import { run } from '../command.ts';

/**
 * The one-line sources that the machine itself has for the suite and its updates, as apt understands its own files.
 * None: mmdebstrap's defaults for the suite.
 */
export async function packageSources(suite: string): Promise<string[]> {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)|$(SIGNED_BY)';
  const args = ['indextargets', '--format', format, 'Created-By: Packages'];
  const { stdout } = await run({ file: 'apt-get', args }).catch(() => ({ stdout: Buffer.alloc(0) }));
  return sourceLines(stdout.toString('utf8'), suite);
}

/** Parses apt-get's answer; `$(SIGNED_BY)` is what it prints for a source without that option. */
export function sourceLines(targets: string, suite: string): string[] {
  const lines = targets.split('\n').flatMap((line) => {
    const [source = '', signedBy = ''] = line.split('|');
    const release = source.split(' ')[1];
    const ours = [suite, `${suite}-updates`, `${suite}-security`, `${suite}/updates`];
    if (release === undefined || !ours.includes(release)) return [];
    return [`deb ${signedBy.startsWith('/') ? `[signed-by=${signedBy}] ` : ''}${source}`];
  });
  return [...new Set(lines)];
}
