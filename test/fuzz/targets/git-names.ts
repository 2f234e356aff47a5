import { GitRefError, parseRef, parseSha } from '../../../src/git/ref.ts';
import { type GitUrl, GitUrlError, parseGitUrl, sameServer } from '../../../src/git/url.ts';
import { mutateText, oddities, oneOf, textOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const urlTexts = [
  'https://example.org/team/tool.git',
  'https://example.org:8443/a%20b',
  'https://[2001:db8::1]:8443/x',
  'https://192.0.2.1/x',
  'http://forge/x',
  'ssh://ada@example.org:2222/~/x',
  'git@example.org:team/tool.git',
  'git@[2001:db8::1]:x',
];
const urlPieces = [
  ...words(
    '- --upload-pack=x -oProxyCommand=x ext:: file:// :// : @ / // .. . %2e%2e %00 %0a \\ ? # [ ] 127.1 0x7f',
  ),
  ...words('2130706433 ::ffff:127.0.0.1 \u3002 \uff0e \u2044 ~ $(id) ` " \' ; { | GIT :99999'),
  ...oddities,
  'x'.repeat(64),
];

/** Addresses of repositories. */
export const gitUrls: Target<string> = {
  name: 'git-urls',
  promise: 'a URL has one spelling, which means the same, to the same server, for a browser as for us',
  rounds: 10_000,
  outcomes: ['taken', 'refused'],
  cases: [],
  open: () => ({
    make: (random) =>
      random.chance(0.9)
        ? mutateText(random, oneOf(random, urlTexts), urlPieces)
        : textOf(random, urlPieces, 8),
    check: (text) => {
      let url: GitUrl;
      try {
        url = parseGitUrl(text, { hosts: 'internal' });
      } catch (error) {
        if (error instanceof GitUrlError && error.message.length < 500) return 'refused';
        throw error;
      }
      const written = String(url);
      const again = parseGitUrl(written, { hosts: 'internal' });
      if (String(again) !== written || !sameServer(url, again))
        throw new Error(`${written} is another place`);
      if (!/^(https?|ssh):\/\/[!-~]+$/.test(written)) throw new Error(`git would get ${written}`);
      // The WHATWG reading of it: curl's differs from ours no more than this one.
      const other = new URL(written.replace(/^ssh:/, 'http:'));
      if (other.hostname !== url.host) throw new Error(`others would connect to ${other.hostname}`);
      return 'taken';
    },
  }),
};

const refPieces = [
  ...words(
    'refs/ heads/ tags/ pull/1/head main / // . .. .lock @{ @ ~ ^ : ? * [ \\ - --output=x HEAD $(id) `',
  ),
  ...oddities,
  'x'.repeat(250),
];

/** Names of branches and tags, and commits. */
export const gitRefs: Target<string> = {
  name: 'git-refs',
  promise: 'a ref stays as it is, below refs/, and is no option, range or path for any command',
  rounds: 10_000,
  outcomes: ['ref', 'commit', 'refused'],
  cases: [],
  open: () => ({
    make: (random) => {
      if (random.chance(0.1)) return textOf(random, ['a', 'F', '0', '12345678', 'abcdef01', 'g', '\n'], 9);
      if (random.chance(0.1)) return 'c0ffee00'.repeat(random.between(4, 9));
      return mutateText(
        random,
        oneOf(random, ['refs/heads/main', 'refs/tags/v1.0', 'refs/pull/7/head']),
        refPieces,
      );
    },
    check: (text) => {
      const ref = attempt(() => parseRef(text));
      const sha = attempt(() => parseSha(text));
      if (ref !== undefined) {
        const parts = ref.split('/');
        const flaw = /[ ~^:?*[\\\p{Cc}]|\.\.|@\{|\/\/|\.$|\/$/u.test(ref) || Buffer.byteLength(ref) > 1000;
        const short = parts.slice(2).join('/');
        if (ref !== text || parts[0] !== 'refs' || flaw || short.startsWith('-'))
          throw new Error('this is no ref');
      }
      if (sha !== undefined && !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(sha))
        throw new Error('this is no commit');
      return ref !== undefined ? 'ref' : sha !== undefined ? 'commit' : 'refused';
    },
  }),
};

function attempt(work: () => string): string | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof GitRefError && error.message.length < 1000) return undefined;
    throw error;
  }
}
