import { mkdir } from 'node:fs/promises';
import { Command } from 'commander';
import { artifactStore } from '../artifacts.ts';
import type { ArtifactRecord } from '../build.ts';
import type { Client } from '../client.ts';
import { withService } from './connect.ts';
import { UsageError } from '../usage.ts';
import { size } from './format.ts';
import { plain, table } from './table.ts';

interface Json {
  readonly json?: true;
}

/** `cofferdam artifacts`: what a build left. */
export function command(): Command {
  // Subcommands take this setting over when they are made.
  const artifacts = new Command('artifacts')
    .description('Lists and fetches the artifacts of a build.')
    .exitOverride();
  artifacts
    .command('ls <id>')
    .description('list them')
    .option('--json', 'print one JSON document')
    .action(list);
  artifacts
    .command('get <id> [path...]')
    .description(
      'fetch them, or those at these paths; each appears whole, with the SHA-256 that the record has',
    )
    .option('-o, --output <dir>', 'write them below this directory', '.')
    .option('--json', 'print one JSON document')
    .action(get);
  return artifacts;
}

async function list(text: string, { json }: Json): Promise<void> {
  const found = await withService(async (client) => client.artifacts(await client.identify(text)));
  const rows = found.map(({ path, size: bytes, sha256 }) => [plain(path), size(bytes), sha256]);
  process.stdout.write(json ? `${JSON.stringify(found)}\n` : table(['PATH', 'SIZE', 'SHA-256'], rows));
}

interface GetOptions extends Json {
  readonly output: string;
}

async function get(text: string, paths: readonly string[], { output, json }: GetOptions): Promise<void> {
  const fetched = await withService(async (client) => {
    const id = await client.identify(text);
    const wanted = choose(await client.artifacts(id), id, paths);
    await mkdir(output, { recursive: true });
    for (const artifact of wanted) await fetchArtifact(client, id, artifact, output);
    return wanted;
  });
  if (json) process.stdout.write(`${JSON.stringify(fetched)}\n`);
  else for (const { path, size: bytes } of fetched) process.stderr.write(`${plain(path)}  ${size(bytes)}\n`);
}

function choose(
  all: readonly ArtifactRecord[],
  id: string,
  paths: readonly string[],
): readonly ArtifactRecord[] {
  if (paths.length === 0) return all;
  return paths.map((path) => {
    const found = all.find((artifact) => artifact.path === path);
    if (found) return found;
    throw new UsageError(`${id} has no artifact ${path}; cofferdam artifacts ls ${id} lists them`);
  });
}

/** What the service says is not trusted: neither that a path stays below the directory, nor what comes. */
async function fetchArtifact(
  client: Client,
  id: string,
  artifact: ArtifactRecord,
  output: string,
): Promise<void> {
  const { path, sha256 } = artifact;
  if (path.split('/').some((part) => ['', '.', '..'].includes(part))) {
    throw new Error(`the service names an artifact '${path}', which would lie outside of ${output}`);
  }
  const store = artifactStore(output);
  await store.begin({ path, mode: 0o644 });
  try {
    for await (const chunk of await client.artifact(id, path)) await store.data(Buffer.from(chunk));
  } catch (error) {
    await store.discard();
    throw error;
  }
  const kept = await store.end();
  if (kept.sha256 === sha256) return;
  throw new Error(`${path} has the SHA-256 ${kept.sha256}, not ${sha256} as the record says; do not use it`);
}
