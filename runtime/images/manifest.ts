import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { Healthcheck, parseHealthcheck } from './healthcheck.ts';
import { type ImageConfig, ImageError } from './image.ts';
import { maxLayers } from './layer-limits.ts';

const Digest = Type.String({ pattern: '^sha256:[a-f0-9]{64}$' });
const Blob = Type.Object({
  mediaType: Type.Optional(Type.String()),
  digest: Digest,
  size: Type.Integer({ minimum: 0 }),
  urls: Type.Optional(Type.Array(Type.String())),
});
const Manifest = Type.Object({ config: Blob, layers: Type.Array(Blob) });
const Index = Type.Object({
  manifests: Type.Array(
    Type.Object({
      digest: Digest,
      platform: Type.Optional(
        Type.Object({
          os: Type.String(),
          architecture: Type.String(),
          variant: Type.Optional(Type.String()),
        }),
      ),
    }),
  ),
});
// Docker writes null where there is nothing.
const strings = Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()]));
const Config = Type.Object({
  os: Type.Optional(Type.String()),
  architecture: Type.Optional(Type.String()),
  config: Type.Optional(
    Type.Union([
      Type.Object({
        Env: strings,
        WorkingDir: Type.Optional(Type.String()),
        User: Type.Optional(Type.String()),
        Entrypoint: strings,
        Cmd: strings,
        Shell: strings,
        Healthcheck: Type.Optional(Type.Union([Healthcheck, Type.Null()])),
      }),
      Type.Null(),
    ]),
  ),
  rootfs: Type.Object({ diff_ids: Type.Array(Digest) }),
});

export interface BlobReference {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** The manifest of one image (OCI, or Docker schema 2), or an index of manifests for several platforms. */
export type ParsedManifest =
  | { readonly kind: 'image'; readonly config: BlobReference; readonly layers: readonly BlobReference[] }
  | { readonly kind: 'index'; readonly manifests: Type.Static<typeof Index>['manifests'] };

/** Throws ImageError for what is no manifest, and for layers that are to be fetched from elsewhere. */
export function parseManifest(bytes: Buffer): ParsedManifest {
  const json = parseJson(bytes, 'manifest');
  if (Value.Check(Index, json)) return { kind: 'index', manifests: json.manifests };
  if (!Value.Check(Manifest, json)) {
    const old = typeof json === 'object' && json !== null && 'fsLayers' in json;
    throw new ImageError(
      old
        ? 'its manifest has the outdated Docker schema 1; push the image again'
        : 'its manifest is malformed',
    );
  }
  for (const { mediaType = '', urls } of json.layers) {
    // A "foreign" layer names URLs of its own: following them would let an image reach into our network.
    if (urls?.length || !/\.tar(?:[.+](?:gzip|zstd))?$/.test(mediaType)) {
      throw new ImageError(
        `it has a layer of the unsupported kind '${mediaType}'${urls ? ' with URLs' : ''}`,
      );
    }
  }
  if (json.layers.length > maxLayers) {
    throw new ImageError(`it has ${json.layers.length} layers; overlayfs takes at most ${maxLayers}`);
  }
  return { kind: 'image', config: json.config, layers: json.layers };
}

/** The manifest for this machine in an index. Throws ImageError when there is none. */
export function choosePlatform(
  manifests: Extract<ParsedManifest, { kind: 'index' }>['manifests'],
  architecture: string,
): string {
  const fitting = manifests.filter(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  // arm64 is `v8` or says no variant; anything else (amd64/v3) may need a newer processor.
  const best = fitting.find(({ platform }) => !platform?.variant || platform.variant === 'v8') ?? fitting[0];
  if (best) return best.digest;
  const offered = manifests.map(({ platform }) => `${platform?.os}/${platform?.architecture}`);
  throw new ImageError(
    `it is not made for linux/${architecture}, only for ${[...new Set(offered)].join(', ')}`,
  );
}

/** What an image config says, checked and with defaults filled in; DiffIDs bottom first. Throws ImageError. */
export function parseConfig(
  bytes: Buffer,
  architecture: string,
): { readonly config: ImageConfig; readonly diffIds: readonly string[] } {
  const json = parseJson(bytes, 'config');
  if (!Value.Check(Config, json)) throw new ImageError('its config is malformed');
  const platform = `${json.os || 'linux'}/${json.architecture || architecture}`;
  if (platform !== `linux/${architecture}`) {
    throw new ImageError(`it is made for ${platform}, and this machine is linux/${architecture}`);
  }
  const { Env, WorkingDir, User, Entrypoint, Cmd, Shell } = json.config ?? {};
  const healthcheck = parseHealthcheck(json.config?.Healthcheck ?? {}, Shell ?? ['/bin/sh', '-c']);
  const config: ImageConfig = {
    env: (Env ?? []).filter((variable) => variable.indexOf('=') > 0),
    workingDir: WorkingDir || '/',
    user: User ?? '',
    entrypoint: Entrypoint ?? [],
    cmd: Cmd ?? [],
    ...(healthcheck && { healthcheck }),
  };
  const words = [...config.entrypoint, ...config.cmd, ...(healthcheck?.args ?? [])];
  const all = [...config.env, config.workingDir, config.user, ...words];
  if (all.some((text) => text.includes('\0'))) throw new ImageError('its config has a NUL byte in a string');
  // A working directory below /proc can name a file descriptor of the runtime (CVE-2024-21626).
  const parts = config.workingDir.split('/').filter((part) => part !== '' && part !== '.');
  if (!config.workingDir.startsWith('/') || parts.includes('..') || parts[0] === 'proc') {
    throw new ImageError(`its working directory '${config.workingDir}' is not allowed`);
  }
  return { config: { ...config, workingDir: `/${parts.join('/')}` }, diffIds: json.rootfs.diff_ids };
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new ImageError(`its ${what} is no JSON`, { cause });
  }
}
