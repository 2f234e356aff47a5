/** Why a key that Woodpecker or others know is not taken, by the title of the schema that it is missing in. */

const network = 'a workflow has one network for all its containers; see `network:`';
const host = 'a build sees nothing of the host';
const top = (key: string) => `it holds for the whole workflow; move \`${key}:\` to the top of the file`;

const container: Readonly<Record<string, string>> = {
  volumes: `${host}; all steps share the workspace, and \`caches:\` keep directories from build to build`,
  devices: host,
  tmpfs: 'all that a build writes is thrown away anyway; see `resources:` for how much there may be',
  dns: network,
  dns_search: network,
  extra_hosts: network,
  networks: network,
  network_mode: network,
  network: top('network'),
  backend_options: 'they are for the engines of Woodpecker; see `resources:`',
  resources: top('resources'),
  caches: top('caches'),
  cache: top('caches'),
  labels: top('labels'),
  runs_on: top('labels'),
  workspace: top('workspace'),
  matrix: top('matrix'),
  concurrency: top('concurrency'),
  retry: top('retry'),
};

const reasons: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  workflow: {
    volumes: container['volumes'] ?? '',
    networks: network,
    secrets: 'a secret goes to the steps that name it; see `environment:` of a step',
    branches: 'write `when: { branch: … }`',
    platform: 'write `labels: { platform: … }`',
    version: 'there is one version of the language',
  },
  step: {
    ...container,
    services: top('services'),
    ports: 'all ports can be reached',
    ready: 'only services have it; make it one',
    group: 'write `depends_on:`',
  },
  service: {
    ...container,
    depends_on: 'all services start at once, before the steps; a step with `detach: true` waits for others',
    detach: 'a service always runs in the background',
    secrets: 'a service gets secrets as variables only; see `environment:`',
  },
  condition: {
    environment: 'write `evaluate:`',
  },
};

/** Why a known key is refused; undefined: it is not known. */
export function refusalOf(schemaTitle: string, key: string): string | undefined {
  const known = reasons[schemaTitle];
  return known !== undefined && Object.hasOwn(known, key) ? known[key] : undefined;
}
