/**
 * Keys of the language (Woodpecker's, and those that the design adds) that Cofferdam knows but cannot run yet, by
 * the title of the schema they belong to. They are told apart from misspelled ones.
 * Source: https://woodpecker-ci.org/docs/usage/workflow-syntax and its JSON Schema.
 */
const keys: Readonly<Record<string, readonly string[]>> = {
  workflow:
    `branches cache caches clone concurrency depends_on labels matrix networks platform retry runs_on secrets
    services skip_clone variables version volumes when workspace`.split(/\s+/),
  step: `artifacts backend_options cache caches concurrency depends_on detach devices directory dns dns_search
    entrypoint extra_hosts group labels matrix network network_mode ports privileged pull ready resources retry
    runs_on services settings timeout tmpfs volumes workspace`.split(/\s+/),
  condition: 'branch cron environment evaluate event instance matrix path platform ref repo'.split(' '),
};

/** Whether `key` is a known but not yet supported key of the map whose schema has this title. */
export function isUnsupportedKey(schemaTitle: string, key: string): boolean {
  return keys[schemaTitle]?.includes(key) ?? false;
}

/** What a wrong value asks for, where the language knows it but Cofferdam cannot do it yet. */
export function unsupportedValue(schemaTitle: string, value: unknown): string | undefined {
  const has = (key: string) => typeof value === 'object' && value !== null && key in value;
  if (schemaTitle === 'network class' && value === 'egress') return 'network: egress';
  if (schemaTitle === 'network class' && has('allow')) return 'network: allow';
  return undefined;
}
