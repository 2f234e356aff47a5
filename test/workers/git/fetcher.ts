import { openRemote } from '../../../workers/git/remote.ts';
import { gitSources } from '../../../workers/git/sources.ts';
import { layerCache } from '../../../workers/layer-cache.ts';

/** Another worker of this machine: brings one commit here and prints where it is, as JSON. */
const [dataDir = '', url = '', sha = ''] = process.argv.slice(2);
const cache = layerCache({ dataDir, capBytes: 1024 ** 3 });
const sources = gitSources({ dataDir, cache, mirrorsCapBytes: 1024 ** 3 });
const tree = await sources.use({
  url,
  sha,
  ref: 'refs/heads/main',
  repository: undefined,
  checkout: { submodules: 'none', lfs: 'none', paths: [] },
  remote: () => openRemote({ url, credentials: undefined, hosts: 'internal' }),
  signal: new AbortController().signal,
  progress: (line) => void process.stderr.write(`${line}\n`),
});
process.stdout.write(JSON.stringify(tree));
