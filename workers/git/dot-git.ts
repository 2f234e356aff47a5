import { linkSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatOf, packsOf } from './mirror.ts';
import { mirrorRefs } from './refs.ts';

export interface DotGitRequest {
  /** The mirror, whose lock the caller holds. */
  readonly repository: string;
  readonly sha: string;
  /** The ref that is built; the branch that is checked out, when it is one. */
  readonly ref: string | undefined;
  /** Without credentials. */
  readonly url: string;
  /** A file on the same file system. */
  readonly index: string;
  /** Files and directories that are checked out; empty: all. */
  readonly sparse: readonly string[];
}

/**
 * Makes a `.git` that works without network and knows no credentials. The packs are hard links to those of the mirror:
 * it may go or be repacked while builds read them. Tells how many bytes are its own.
 */
export function makeDotGit(directory: string, request: DotGitRequest): number {
  const { repository, index, sparse } = request;
  for (const name of ['', 'objects', 'objects/pack', 'objects/info', 'refs', 'refs/heads', 'info']) {
    mkdirSync(join(directory, name));
  }
  const packs = join(repository, 'objects', 'pack');
  const names = new Set(readdirSync(packs));
  for (const pack of packsOf(repository)) {
    for (const ending of ['pack', 'idx', 'rev', 'bitmap']) {
      const name = `${pack}.${ending}`;
      if (names.has(name)) linkSync(join(packs, name), join(directory, 'objects', 'pack', name));
    }
  }
  linkSync(index, join(directory, 'index'));
  const texts = {
    HEAD: headOf(request),
    config: configOf(request),
    'packed-refs': refsOf(request),
    ...(sparse.length > 0 && { 'info/sparse-checkout': sparse.map((path) => `${pattern(path)}\n`).join('') }),
  };
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(directory, name), text, 'latin1');
  return statSync(index).size + Object.values(texts).reduce((sum, text) => sum + text.length, 0);
}

const branches = 'refs/heads/';

function headOf({ ref, sha }: DotGitRequest): string {
  return ref?.startsWith(branches) ? `ref: ${latin1(ref)}\n` : `${sha}\n`;
}

/** The stat data of the index are those of another mount of the same files: git is to compare time and size only. */
function configOf({ repository, url, sparse }: DotGitRequest): string {
  const format = formatOf(repository);
  return `[core]
	repositoryFormatVersion = ${format === 'sha1' ? '0' : '1'}
	bare = false
	fileMode = true
	logAllRefUpdates = true
	checkStat = minimal
	trustCTime = false
${sparse.length > 0 ? '\tsparseCheckout = true\n' : ''}[remote "origin"]
	url = "${url.replace(/["\\]/g, '\\$&')}"
	fetch = +refs/heads/*:refs/remotes/origin/*
${format === 'sha1' ? '' : `[extensions]\n\tobjectFormat = ${format}\n`}`;
}

/** As after a clone: the remote's branches below refs/remotes/origin, its tags, and the branch that is checked out. */
function refsOf({ repository, sha, ref }: DotGitRequest): string {
  const head = ref?.startsWith(branches) ? [`${sha} ${latin1(ref)}`] : [];
  const lines = Array.from(mirrorRefs(repository), ([name, { id, peeled }]) => {
    const line = `${id} ${name.replace(branches, 'refs/remotes/origin/')}`;
    return peeled === undefined ? line : `${line}\n^${peeled}`;
  });
  // Heads come before remotes, and these before tags, in git's order of refs.
  return ['# pack-refs with: peeled fully-peeled sorted ', ...head, ...lines, ''].join('\n');
}

const latin1 = (text: string) => Buffer.from(text).toString('latin1');

/** A pattern of gitignore(5) that means exactly this path. */
function pattern(path: string): string {
  return `/${latin1(path).replace(/[\\*?[\] #!]/g, '\\$&')}`;
}
