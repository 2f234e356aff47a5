import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rlimits } from '../../runtime/crun/rlimits.ts';
import { defaultLimits } from '../../src/limits.ts';
import { placesIn } from '../../src/up/place.ts';
import { serveHttp } from '../git/http.ts';
import { makeRepository } from '../git/repository.ts';
import { createSite, type Site, until } from '../service/site.ts';
import { signed } from '../src/triggers/samples.ts';
import type { Place } from './catalog.ts';
import { type Finding, findings } from './finding.ts';
import { createOutside, type Outside } from './outside.ts';
import { probeProgram } from './program.ts';

/** Who had the product build the probes. */
export const originNames = [
  'cofferdam run',
  'cofferdam run with egress',
  'service build',
  "stranger's pull request",
] as const;
export type Origin = (typeof originNames)[number];

export interface Origins extends AsyncDisposable {
  /** The build's whole log, and what the probes in it say. */
  readonly of: Readonly<Record<Origin, () => Promise<{ log: string; findings: Finding[] }>>>;
  readonly site: Site;
  readonly secret: string;
}

const MiB = 1024 ** 2;
const diskBytes = 64 * MiB;
const name = 'team/app';
const webhookSecret = 'shared-with-the-forge';

/**
 * @param network of a trusted build; a stranger's has none, and need not ask
 * @param secretly asks for a secret that only trusted builds of the repository get
 */
const workflow = (network: 'none' | 'egress' | undefined, secretly: boolean) =>
  JSON.stringify({
    image: 'tiny',
    network,
    resources: { memory: '512MiB', disk: '64MiB', pids: 256 },
    steps: [
      {
        name: 'probe',
        ...(secretly && { environment: { TOKEN: { from_secret: 'token' } } }),
        commands: ['./probe all'],
      },
    ],
  });

/** A service of our own with a repository, a secret of it, and a forge; all of a real one but the forge's web site. */
export async function createOrigins(): Promise<Origins> {
  const site = await createSite();
  const outside = await createOutside({
    data: site.dataDir,
    disk: diskBytes,
    inodes: defaultLimits.diskInodes,
    ports: new URL(site.url).port,
    services: join(placesIn(site.dataDir).redis, 'redis.sock'),
    ...Object.fromEntries(
      rlimits(defaultLimits.openFiles).map(({ type, soft, hard }) => [type, `${soft} ${hard}`]),
    ),
  });
  const program = await probeProgram();
  const project = (network: 'none' | 'egress') => {
    const path = join(site.dataDir, 'projects', network);
    mkdirSync(path, { recursive: true });
    cpSync(program, join(path, 'probe'));
    chmodSync(join(path, 'probe'), 0o755);
    writeFileSync(join(path, 'facts'), outside.facts);
    writeFileSync(join(path, '.cofferdam.yaml'), workflow(network, false));
    return path;
  };

  const root = join(site.dataDir, 'forge');
  mkdirSync(root);
  const repository = await makeRepository(root, `${name}.git`);
  const server = await serveHttp(root);
  await site.up();
  await register(site, server.url, outside);

  const read = (log: string, place: Place = 'build') => ({ log, findings: findings(log, place) });
  const run = async (network: 'none' | 'egress') => {
    const args = ['run', project(network)];
    const { stdout, stderr } = await site.start(args, { PROBE_CANARY: outside.secret }).ended;
    return stdout + stderr;
  };
  const logOf = async (id: string) => (await site.command('logs', id, '--raw')).stdout;
  return {
    site,
    secret: outside.secret,
    of: {
      'cofferdam run': async () => read(await run('none')),
      'cofferdam run with egress': async () => read(await run('egress'), 'build with egress'),
      'service build': async () => {
        const { stdout, stderr } = await site.command('submit', project('none'), '--follow');
        return read(stdout + stderr);
      },
      "stranger's pull request": async () => {
        const base = await repository.commit({ readme: 'hello\n' });
        const files = {
          probe: { executable: readFileSync(program) },
          facts: outside.facts,
          '.cofferdam.yaml': workflow(undefined, true),
        };
        const sha = await repository.commit(files, { branch: 'of-a-stranger' });
        await repository.git('update-ref', 'refs/pull/1/head', sha);
        const id = await openPullRequest(site, base, sha);
        await until('an end', async () => (await site.show(id)).finishedAt);
        return read(await logOf(id));
      },
    },
    [Symbol.asyncDispose]: async () => {
      await site[Symbol.asyncDispose]();
      await server.stop();
      await outside[Symbol.asyncDispose]();
    },
  };
}

async function register(site: Site, forge: string, { secret }: Outside): Promise<void> {
  const file = (text: string, at: string) => {
    writeFileSync(join(site.dataDir, at), text);
    return join(site.dataDir, at);
  };
  const url = `${forge}/${name}.git`;
  const webhook = ['--webhook-secret-file', file(webhookSecret, 'webhook')];
  const done = [
    await site.command(
      'repo',
      'add',
      url,
      '--name',
      name,
      '--forge',
      'github',
      '--hosts',
      'internal',
      ...webhook,
    ),
    await site.command('secret', 'set', 'token', '--repo', name, '--file', file(secret, 'value')),
  ];
  for (const { code, stderr } of done) if (code !== 0) throw new Error(stderr);
}

/** As GitHub tells of one from a fork; gives the build that came of it. */
async function openPullRequest(site: Site, base: string, sha: string): Promise<string> {
  const payload = {
    action: 'opened',
    number: 1,
    pull_request: {
      title: 'an improvement',
      head: { ref: 'of-a-stranger', sha, repo: { id: 2, clone_url: 'https://forge.example/else/app.git' } },
      base: { ref: 'main', sha: base, repo: { id: 1 } },
    },
    repository: { full_name: name },
    sender: { login: 'stranger' },
  };
  const { headers, body } = signed('github', payload, webhookSecret, { event: 'pull_request' });
  const response = await fetch(`${site.url}/v1/hooks/github/${name}`, {
    method: 'POST',
    headers: Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, String(value)])),
    body: body.toString(),
  });
  const answer: { builds?: readonly string[] } = JSON.parse(await response.text());
  const [id] = answer.builds ?? [];
  if (id === undefined) throw new Error(`no build of the pull request: ${JSON.stringify(answer)}`);
  return id;
}
