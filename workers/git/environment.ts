import { simpleGit, type SimpleGit } from 'simple-git';
import type { ToolCommand } from '../../runtime/command.ts';

/** All that git on a worker knows of the world: nobody's configuration, no hooks, no prompts, no transports. */
const closedEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: '/nonexistent',
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_PROTOCOL_FROM_USER: '0',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_LITERAL_PATHSPECS: '1',
};

/** Mistakes of old tools in commits that many repositories have and that hurt nobody (git-fsck(1)). */
const forgiven = [
  'badDate',
  'badDateOverflow',
  'badEmail',
  'badTimezone',
  'missingEmail',
  'missingNameBeforeEmail',
  'missingSpaceBeforeDate',
  'missingSpaceBeforeEmail',
  'zeroPaddedDate',
  'zeroPaddedFilemode',
];

export type ObjectFormat = 'sha1' | 'sha256';

/**
 * The whole configuration of a repository of ours: one pack for each fetch, whose objects are checked as they come;
 * names that some file system takes for `.git` are refused; no housekeeping but our own (mirror.ts); nothing waits for
 * the disk, for a mirror that a power cut damaged is made anew.
 */
export function repositoryConfig(format: ObjectFormat): string {
  return `[core]
	repositoryFormatVersion = 1
	bare = true
	hooksPath = /dev/null
	fsmonitor = false
	attributesFile = /dev/null
	protectHFS = true
	protectNTFS = true
	symlinks = true
	autocrlf = false
	fsync = none
[extensions]
	objectFormat = ${format}
[protocol]
	allow = never
[gc]
	auto = 0
[maintenance]
	auto = false
[fetch]
	unpackLimit = 1
	recurseSubmodules = false
	writeCommitGraph = false
[transfer]
	fsckObjects = true
[fetch "fsck"]
${forgiven.map((id) => `\t${id} = ignore\n`).join('')}[http]
	lowSpeedLimit = 1000
	lowSpeedTime = 60
[checkout]
	workers = 0
`;
}

/** A git command on a repository of ours, which is the only place where it looks. */
export function gitCommand(
  repository: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ToolCommand {
  return {
    file: 'git',
    args: [`--git-dir=${repository}`, ...args],
    cwd: repository,
    env: { ...closedEnvironment, ...env },
  };
}

/** Porcelain on a repository of ours: what is short, prints text, and needs no input. */
export function openRepository(repository: string): SimpleGit {
  const env = { ...closedEnvironment, GIT_DIR: repository };
  return simpleGit({
    baseDir: repository,
    trimmed: true,
    allowEnvironment: Object.keys(env),
    // Its own default waits 50 ms after each command.
    completion: { onClose: true, onExit: false },
    // What it takes for unsafe is what closes git off here.
    unsafe: { allowUnsafeConfigPaths: true, allowUnsafeTemplateDir: true },
  }).env(env);
}
