/** What a user may write where an image is wanted, parsed once. */
export type Reference =
  | {
      readonly kind: 'registry';
      /** Host with optional port; `docker.io` by default. */
      readonly registry: string;
      /** Path in the registry, `library/` filled in for docker.io. */
      readonly repository: string;
      /** `latest` by default; undefined when a digest alone was written. */
      readonly tag: string | undefined;
      /** `sha256:<64 hex>`; it wins over the tag. */
      readonly digest: string | undefined;
    }
  | {
      readonly kind: 'bootstrap';
      /** A Debian-family suite: `bookworm`. */
      readonly suite: string;
      /** Sorted, each once. */
      readonly packages: readonly string[];
      /** Packages in a layer of their own over these; sorted, each once. */
      readonly added: readonly string[];
    }
  | { readonly kind: 'local'; readonly name: string };

export type RegistryReference = Extract<Reference, { kind: 'registry' }>;
export type BootstrapReference = Extract<Reference, { kind: 'bootstrap' }>;

/** The text is no image reference, or asks for something that is never allowed: the caller's mistake. */
export class ImageReferenceError extends Error {
  override readonly name = 'ImageReferenceError';
}

// The grammar of distribution/reference; suite and package names as in Debian policy 5.6.1, but never ending in
// `-`, which apt reads as "remove".
const host =
  /^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;
const pathComponent = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const digestPattern = /^sha256:[a-f0-9]{64}$/;
const suitePattern = /^[a-z][a-z0-9.-]{0,62}[a-z0-9]$/;
const packagePattern = /^[a-z0-9][a-z0-9+.-]{0,126}[a-z0-9+.]$/;
const localPattern = /^[a-zA-Z0-9][a-zA-Z0-9._/:-]{0,254}$/;

/**
 * Parses `[registry/]name[:tag][@digest]`, `bootstrap:SUITE[+package,…][/package,…]`, or, when `isLocal` knows the
 * text, the name of an imported image. Throws ImageReferenceError.
 */
export function parseReference(text: string, isLocal: (name: string) => boolean): Reference {
  if (text.startsWith('bootstrap:')) return parseBootstrap(text);
  if (localPattern.test(text) && isLocal(text)) return { kind: 'local', name: text };
  return parseRegistry(text);
}

/** Checks a name for `image import`. Throws ImageReferenceError. */
export function parseLocalName(text: string): Extract<Reference, { kind: 'local' }> {
  if (!localPattern.test(text) || text.startsWith('bootstrap:')) {
    throw new ImageReferenceError(
      `'${text}' cannot name an image: use letters, digits and . _ / : -, beginning with a letter or digit`,
    );
  }
  return { kind: 'local', name: text };
}

function parseBootstrap(text: string): BootstrapReference {
  // `/` is in no name of a suite or package.
  const [made = '', ...layers] = text.slice('bootstrap:'.length).split('/');
  const [suite = '', ...rest] = made.split('+');
  if (!suitePattern.test(suite)) {
    throw new ImageReferenceError(
      `'${text}': '${suite}' is no suite name; write for example bootstrap:bookworm`,
    );
  }
  // `+` separates the suite from the packages and is also part of names such as g++.
  const packages = rest.length > 0 ? packageNames(text, rest.join('+')) : [];
  const added = layers.length > 0 ? packageNames(text, layers.join('/')) : [];
  return { kind: 'bootstrap', suite, packages, added: added.filter((name) => !packages.includes(name)) };
}

function packageNames(text: string, list: string): string[] {
  const names = list.split(',');
  for (const name of names) {
    if (!packagePattern.test(name)) {
      throw new ImageReferenceError(
        `'${text}': '${name}' is no package name; write for example bootstrap:bookworm+git,g++`,
      );
    }
  }
  return [...new Set(names)].sort();
}

function parseRegistry(text: string): RegistryReference {
  const wrong = (why: string) =>
    new ImageReferenceError(
      `'${text}' is no image: ${why}; write for example debian:12 or ghcr.io/owner/name:1.0`,
    );
  const [named = '', digest, ...more] = text.split('@');
  if (more.length > 0 || (digest !== undefined && !digestPattern.test(digest))) {
    throw wrong('after @ it wants sha256: and 64 hexadecimal digits');
  }
  const colon = named.lastIndexOf(':');
  const tagged = colon > named.lastIndexOf('/');
  const tag = tagged ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) throw wrong(`the tag '${tag}' is not valid`);
  const components = (tagged ? named.slice(0, colon) : named).split('/');
  const first = components[0] ?? '';
  // Docker's rule: the first part is a host when it has a dot or port, or is localhost, or has upper case.
  const isHost = components.length > 1 && (/[.:[A-Z]/.test(first) || first === 'localhost');
  if (isHost && !host.test(first)) throw wrong(`'${first}' is no registry host`);
  const path = isHost ? components.slice(1) : components;
  for (const component of path) {
    if (!pathComponent.test(component))
      throw wrong(`'${component}' is not valid in a name (lower case only)`);
  }
  const registry = isHost ? first.replace(/^index\.docker\.io$/, 'docker.io') : 'docker.io';
  const repository = registry === 'docker.io' && path.length === 1 ? `library/${path[0]}` : path.join('/');
  if (repository.length > 255) throw wrong('the name is longer than 255 characters');
  return { kind: 'registry', registry, repository, tag: tag ?? (digest ? undefined : 'latest'), digest };
}

/** The one spelling of a reference, with all defaults filled in: the key of the store's refs. */
export function canonical(reference: Reference): string {
  if (reference.kind === 'local') return `local:${reference.name}`;
  if (reference.kind === 'bootstrap') {
    const { suite, packages, added } = reference;
    const over = added.length > 0 ? `/${added.join(',')}` : '';
    return `bootstrap:${suite}${packages.length > 0 ? `+${packages.join(',')}` : ''}${over}`;
  }
  const { registry, repository, tag, digest } = reference;
  return `${registry}/${repository}${digest ? `@${digest}` : `:${tag}`}`;
}

/** Whether the registry is on this machine; only such a one may be spoken to without TLS. */
export function isLoopback(reference: RegistryReference): boolean {
  const name = reference.registry.replace(/:[0-9]+$/, '');
  return name === 'localhost' || name === '[::1]' || /^127(?:\.[0-9]{1,3}){3}$/.test(name);
}
