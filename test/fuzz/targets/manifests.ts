import { ImageError } from '../../../runtime/images/image.ts';
import { parseConfig, parseManifest } from '../../../runtime/images/manifest.ts';
import { damage, mutateText, oneOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const blob = (mediaType: string) => ({ mediaType, digest, size: 10 });
const documents: readonly unknown[] = [
  {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: blob('application/vnd.oci.image.config.v1+json'),
    layers: [
      blob('application/vnd.oci.image.layer.v1.tar+gzip'),
      blob('application/vnd.oci.image.layer.v1.tar'),
    ],
  },
  {
    manifests: [
      { digest, platform: { os: 'linux', architecture: 'amd64', variant: 'v3' } },
      { digest, platform: { os: 'linux', architecture: 'arm64' } },
    ],
  },
  {
    os: 'linux',
    architecture: 'amd64',
    config: {
      Env: ['PATH=/bin', 'LD_PRELOAD=/x.so', '=x', 'x'],
      WorkingDir: '/a/./b/',
      User: '0:0',
      Entrypoint: ['/bin/sh'],
      Cmd: null,
      Volumes: { '/': {} },
      OnBuild: ['RUN id'],
      ExposedPorts: { '80/tcp': {} },
    },
    rootfs: { type: 'layers', diff_ids: [digest] },
  },
];
const pieces = words('{ } [ ] " , : null 1e999 -0 \\u0000 \\ud800 "__proto__": "urls":["http://a"]');
const directories = ['/proc/self/fd/7', '/../x', 'x', '/a/../../b', '//proc', '/./proc/1', '/a\0b', ''];

/** Manifests, indexes and configs of images. */
export const manifests: Target<string> = {
  name: 'manifests',
  promise: 'any bytes are a manifest or config that asks for nothing beyond an image, or an ImageError',
  rounds: 4000,
  outcomes: ['manifest', 'config', 'refused'],
  cases: [],
  open: () => ({
    make: (random) => {
      const document = damage(random, oneOf(random, documents));
      if (random.chance(0.1) && typeof document === 'object' && document && 'config' in document) {
        document.config = { WorkingDir: oneOf(random, directories) };
      }
      const text = JSON.stringify(document) ?? '';
      return random.chance(0.3) ? mutateText(random, text, pieces) : text;
    },
    check: (text) => {
      const bytes = Buffer.from(text);
      const manifest = attempt(() => parseManifest(bytes));
      if (manifest?.kind === 'image') {
        const digests = [manifest.config, ...manifest.layers].map((each) => each.digest);
        if (!digests.every((each) => /^sha256:[0-9a-f]{64}$/.test(each))) throw new Error('a digest is none');
      }
      const config = attempt(() => parseConfig(bytes, 'amd64'))?.config;
      if (config) {
        const { workingDir, env, user, entrypoint, cmd } = config;
        if (!/^\/(?!proc(\/|$))/.test(workingDir) || /(^|\/)\.\.?(\/|$)/.test(workingDir))
          throw new Error(`the working directory is ${workingDir}`);
        if (!env.every((each) => /^[^=]+=/s.test(each))) throw new Error('a variable has no name');
        if ([...env, workingDir, user, ...entrypoint, ...cmd].some((each) => each.includes('\0')))
          throw new Error('a NUL came through');
      }
      return manifest ? 'manifest' : config ? 'config' : 'refused';
    },
  }),
};

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof ImageError && error.message !== '') return undefined;
    throw error;
  }
}
