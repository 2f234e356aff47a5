import type { CommandError } from '../../runtime/command.ts';
import { type GitUrl, GitUrlError, parseGitUrl } from '../../src/git/url.ts';
import { requestPinned } from './http.ts';
import { RemoteError } from './remote-error.ts';

interface Complaint {
  readonly pattern: RegExp;
  readonly kind: RemoteError['kind'];
  readonly meaning: string;
}

const giveCredentials = ' (if it is not public, give its credentials with `cofferdam repo add`)';

/** What git, curl and ssh write in the C locale; the first that fits decides. */
const complaints: readonly Complaint[] = [
  { pattern: /returned error: 30[12378]/, kind: 'moved', meaning: 'has moved' },
  {
    pattern: /Host key verification failed|host key .*changed|certificate|SSL peer/i,
    kind: 'refused',
    meaning: 'is not the host that it should be',
  },
  {
    pattern: /returned error: 40[13]|Authentication failed|could not read (Username|Password)|denied \(/,
    kind: 'refused',
    meaning: `does not let this service in${giveCredentials}`,
  },
  {
    pattern:
      /returned error: (404|410)|[Rr]epository .*not found|not appear to be a git repository|not valid: is/,
    kind: 'refused',
    meaning: `is no repository, or none that this service may see${giveCredentials}`,
  },
  {
    pattern:
      /returned error: (429|5\d\d)|Could not resolve|[Cc]onnect|timed out|too slow|EOF|hung up|RPC failed|reset by|kex_/,
    kind: 'unreachable',
    meaning: 'does not answer in order',
  },
];

/** Says what a failed git tells about the remote; undefined: nothing that we know. */
export async function failureOf(
  url: GitUrl,
  addresses: readonly string[],
  error: CommandError,
): Promise<RemoteError | undefined> {
  const found = complaints.find(({ pattern }) => pattern.test(error.stderr));
  if (!found) return undefined;
  const text =
    found.kind === 'moved' ? await movedTo(url, addresses) : `${found.meaning}: ${firstLine(error.stderr)}`;
  return new RemoteError(found.kind, `${String(url)} ${text}`, { cause: error });
}

const unknownPlace = 'has moved, and does not say where to';

/** Asks for what git asked for first; the new place is told only, never gone to. */
async function movedTo(url: GitUrl, addresses: readonly string[]): Promise<string> {
  const asked = new URL(`${String(url)}/info/refs?service=git-upload-pack`);
  try {
    const response = await requestPinned({ method: 'GET', url: asked, addresses });
    response.destroy();
    const { location } = response.headers;
    if (location === undefined) return unknownPlace;
    const repository = new URL(location, asked).href.replace(/\/info\/refs(\?.*)?$/, '');
    return `has moved to ${String(parseGitUrl(repository, { hosts: 'internal' }))}: use that URL`;
  } catch (error) {
    if (error instanceof GitUrlError) return `sends us on to what is no repository: ${error.message}`;
    return unknownPlace;
  }
}

/** The line that says what failed, without the prefixes that git puts before it. */
function firstLine(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.replace(/^(remote|fatal|error):\s*/, '').trim());
  return lines.find((line) => line !== '' && !line.startsWith('@')) ?? 'git says nothing';
}
