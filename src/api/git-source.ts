import { GitRefError, parseRef, parseSha } from '../git/ref.ts';
import { GitUrlError, parseGitUrl } from '../git/url.ts';
import type { Repository } from '../repositories.ts';
import { placeOfUrl } from '../repositories/name.ts';
import type { GitSource } from '../spec.ts';
import { Problem } from './problem.ts';
import type { Context } from './service.ts';
import type { Submission } from './submission.ts';

/** Characters, as of a project. */
const longestRepo = 200;

type Asked = Extract<Submission['source'], { readonly kind: 'git' }>;

/** A commit to build, and the registered repository that it is of. */
export interface FoundSource {
  readonly source: GitSource;
  readonly repository: Repository | undefined;
}

/** What a submission's git source means. Throws Problem with the places in it. */
export async function findGitSource(
  { repositories, reach }: Pick<Context, 'repositories' | 'reach'>,
  asked: Asked,
): Promise<FoundSource> {
  const { repository: name, url } = asked;
  if ((name === undefined) === (url === undefined)) {
    const detail = 'is needed, or url, and not both';
    throw new Problem(400, 'nothing says which repository', {
      places: [{ pointer: '#/source/repository', detail }],
    });
  }
  const repository =
    url === undefined
      ? await reach(() => repositories.get(name ?? ''))
      : ofUrl(url, await reach(() => repositories.list()));
  if (name !== undefined && !repository) {
    throw new Problem(422, `there is no repository ${JSON.stringify(name)}; add it, or give its url`, {
      places: [{ pointer: '#/source/repository', detail: 'is not known' }],
    });
  }
  const place = repository
    ? repository.url
    : placed('url', () => parseGitUrl(url ?? '', { hosts: 'public' })).toString();
  const commit = {
    ref: asked.ref === undefined ? undefined : placed('ref', () => fullRef(asked.ref ?? '')),
    sha: asked.sha === undefined ? undefined : placed('sha', () => parseSha(asked.sha ?? '')),
  };
  const ref =
    commit.ref ?? (commit.sha === undefined && repository ? fullRef(repository.defaultBranch) : undefined);
  if (ref === undefined && commit.sha === undefined) {
    throw new Problem(400, 'nothing says which commit', {
      places: [
        { pointer: '#/source/ref', detail: 'is missing: a branch, or a full ref such as refs/tags/v1' },
      ],
    });
  }
  return {
    repository,
    source: {
      kind: 'git',
      url: place,
      repo: repository?.name ?? placeOfUrl(parseGitUrl(place, { hosts: 'public' })).slice(-longestRepo),
      ...(repository && { repository: repository.name }),
      ...(ref !== undefined && { ref }),
      ...(commit.sha !== undefined && { sha: commit.sha }),
    },
  };
}

/** The registered repository at a URL, with or without `.git`. */
function ofUrl(url: string, repositories: readonly Repository[]): Repository | undefined {
  const wanted = spelling(placed('url', () => parseGitUrl(url, { hosts: 'internal' })).toString());
  return repositories.find((each) => spelling(each.url) === wanted);
}

const spelling = (url: string) => url.replace(/\.git$/i, '');

const fullRef = (text: string) => parseRef(text.startsWith('refs/') ? text : `refs/heads/${text}`);

function placed<Result>(part: 'url' | 'ref' | 'sha', parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof GitUrlError || error instanceof GitRefError)) throw error;
    throw new Problem(400, 'the source is none that can be built', {
      places: [{ pointer: `#/source/${part}`, detail: error.message }],
      cause: error,
    });
  }
}
