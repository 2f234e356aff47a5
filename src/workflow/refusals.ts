/** Why a key that Woodpecker or others know is not taken, by the title of the schema that it is missing in. */

const network = 'a workflow has one network for all its containers; see `network:`';
const host = 'a build sees nothing of the host';
const top = (key: string) => `it holds for the whole workflow; move \`${key}:\` to the top of the file`;

const oldSecret = 'write `environment: { TARGET: { from_secret: SOURCE } }` for a variable';

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
    branches: 'write `when: { branch: … }`',
    platform: 'write `labels: { platform: … }` at the top of the file',
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
  'secret file': {
    source: oldSecret,
    target: oldSecret,
  },
};

/** Why a known key is refused; undefined: it is not known. */
export function refusalOf(schemaTitle: string, key: string): string | undefined {
  if (schemaTitle === 'map of clone steps') return 'a workspace has one source; run git in a step';
  const known = reasons[schemaTitle];
  return known !== undefined && Object.hasOwn(known, key) ? known[key] : undefined;
}

/** Why a value of a form that earlier versions took is refused, in place of what it must be; undefined: it is not known. */
export function oldFormOf(
  schemaTitle: string,
  value: unknown,
): { message: string; hint: string } | undefined {
  if (schemaTitle !== 'event or list of events' || typeof value !== 'object' || value === null)
    return undefined;
  const keys = ['include', 'exclude'].filter((key) => Object.hasOwn(value, key));
  return keys.length === 0
    ? undefined
    : {
        message: `${keys.map((key) => `'${key}'`).join(' and ')} of events ${keys.length > 1 ? 'are' : 'is'} refused`,
        hint: 'list the events that it is for: `event: [push, manual]`',
      };
}
