import { Command } from 'commander';
import { holderFile } from '../../runtime/host/holder.ts';
import { containBy } from '../../runtime/images/contain.ts';
import type { Image } from '../../runtime/images/image.ts';
import { ImageReferenceError } from '../../runtime/images/reference.ts';
import type { Prunable, Removed } from '../../runtime/images/removal.ts';
import { type ImageStore, imageStore, type ListedImage } from '../../runtime/images/store.ts';
import { openMachine } from '../../workers/machine.ts';
import { loadConfig } from '../config.ts';
import { UsageError } from '../usage.ts';
import { size } from './format.ts';
import { table } from './table.ts';

interface Json {
  readonly json?: true;
}

/** `cofferdam image`: the images of this machine. */
export function command(): Command {
  // Subcommands take this setting over when they are made.
  const image = new Command('image')
    .description('Shows and changes the images on this machine.')
    .exitOverride();
  image
    .command('pull <ref>')
    .description(
      'bring an image in or up to date: [REGISTRY/]NAME[:TAG][@DIGEST] or bootstrap:SUITE[+PACKAGE,…][/PACKAGE,…]',
    )
    .option('--authfile <file>', 'registry credentials, as `skopeo login` or `docker login` writes them')
    .option('--insecure-registry', 'allow plain HTTP to a registry on this machine')
    .option('--json', 'print one JSON document')
    .action(pull);
  image
    .command('import <name> <path>')
    .description('name the image in a file or directory: docker-archive, OCI layout, or root file system')
    .option('--json', 'print one JSON document')
    .action(importImage);
  image
    .command('export <ref> <file>')
    .description('write an image into a tar file: an OCI layout that `docker load` takes too')
    .option('--json', 'print one JSON document')
    .action(exportImage);
  image.command('ls').description('list the images').option('--json', 'print one JSON document').action(list);
  image
    .command('rm <ref...>')
    .description('remove images that no running build uses')
    .option('--json', 'print one JSON document')
    .action(remove);
  image
    .command('prune')
    .description('remove images that no name refers to, and layers that no image needs')
    .option('--all', 'remove all images that no running build uses')
    .option('--unused-for <time>', 'remove images that no build has asked for in this time: 30d, 12h')
    .option('--json', 'print one JSON document')
    .action(prune);
  return image;
}

interface PullOptions extends Json {
  readonly authfile?: string;
  readonly insecureRegistry?: true;
}

async function pull(ref: string, { authfile, insecureRegistry, json }: PullOptions): Promise<void> {
  const access = {
    ...(authfile !== undefined && { authFile: authfile }),
    ...(insecureRegistry && { insecureRegistry }),
  };
  showImage(await withStore((store) => store.pull(ref, { progress, ...access })), json);
}

async function importImage(name: string, path: string, { json }: Json): Promise<void> {
  showImage(await withStore((store) => store.importImage(name, path, { progress })), json);
}

async function exportImage(ref: string, file: string, { json }: Json): Promise<void> {
  const digest = await withStore((store) => store.exportImage(ref, file, { progress }));
  process.stdout.write(json ? `${JSON.stringify({ ref, file, digest })}\n` : `${file} ${digest}\n`);
}

async function list({ json }: Json): Promise<void> {
  const images = await withStore((store) => store.list());
  process.stdout.write(json ? `${JSON.stringify(images)}\n` : describe(images));
}

async function remove(refs: readonly string[], { json }: Json): Promise<void> {
  const removed: Removed[] = [];
  for (const ref of refs) removed.push(await withStore((store) => store.remove(ref, { progress })));
  showRemoved(
    {
      images: removed.flatMap(({ images }) => images),
      inUse: [],
      layers: removed.reduce((sum, { layers }) => sum + layers, 0),
    },
    json,
  );
}

interface PruneOptions extends Json {
  readonly all?: true;
  readonly unusedFor?: string;
}

async function prune({ all, unusedFor, json }: PruneOptions): Promise<void> {
  if (all && unusedFor !== undefined) throw new UsageError('give either --all or --unused-for, not both');
  const what =
    unusedFor === undefined ? undefined : { kind: 'unusedFor' as const, milliseconds: time(unusedFor) };
  const chosen: Prunable = what ?? { kind: all ? 'all' : 'unreferenced' };
  showRemoved(await withStore((store) => store.prune(chosen, { progress })), json);
}

function time(text: string): number {
  const [, count, unit] = /^([0-9]{1,5})([dh])$/.exec(text) ?? [];
  if (count === undefined) throw new UsageError(`'${text}' is no time; write for example 30d or 12h`);
  return Number(count) * (unit === 'd' ? 24 : 1) * 3_600_000;
}

/** A reference that is wrong is the caller's mistake; an image that cannot be had is not. */
async function withStore<T>(work: (store: ImageStore) => T | Promise<T>): Promise<T> {
  try {
    const { dataDir } = loadConfig();
    const sandboxes = () => openMachine(dataDir).driver;
    return await work(imageStore(dataDir, { contain: containBy(holderFile), sandboxes }));
  } catch (error) {
    throw error instanceof ImageReferenceError ? new UsageError(error.message, { cause: error }) : error;
  }
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

function showImage({ ref, digest, config, root }: Image, json: true | undefined): void {
  const shown = { ref, digest, layers: root.layers.length, config };
  process.stdout.write(json ? `${JSON.stringify(shown)}\n` : `${ref} ${digest}\n`);
}

function showRemoved(removed: Removed, json: true | undefined): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(removed)}\n`);
    return;
  }
  for (const digest of removed.inUse) progress(`${digest} is in use by a running build`);
  process.stdout.write(`removed ${removed.images.length} images and ${removed.layers} layers\n`);
}

function describe(images: readonly ListedImage[]): string {
  const rows = images.map(({ ref, digest, bytes, layers, createdAt, usedAt }) => [
    ref ?? '(no name)',
    digest.slice('sha256:'.length).slice(0, 12),
    size(bytes),
    String(layers),
    minute(createdAt),
    minute(usedAt),
  ]);
  return table(['IMAGE', 'DIGEST', 'SIZE', 'LAYERS', 'CREATED', 'USED'], rows);
}

/** `2026-01-31 12:05`, UTC. */
function minute(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}
