import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import type { ImageConfig } from './image.ts';
import { layerDirectory, layerFile, manifestFile, refFile, type StoreLayout } from './layout.ts';
import type { Reference } from './reference.ts';

/** A complete image, as kept in `manifests/`. */
export interface ImageRecord {
  /** What its reference resolved to: `sha256:…` of the manifest, or of the index it was chosen from. */
  readonly digest: string;
  readonly config: ImageConfig;
  /** Bottom first, each once. */
  readonly layers: readonly LayerRecord[];
  /** ISO 8601, UTC: when it came into this store. */
  readonly createdAt: string;
}

export interface LayerRecord {
  /** Hex of the DiffID. */
  readonly id: string;
  /** Sum of its file sizes. */
  readonly bytes: number;
  /** The layer hides all below it. */
  readonly opaqueRoot: boolean;
}

/** What a reference stands for, as kept in `refs/`. */
export interface RefRecord {
  /** As in canonical(). */
  readonly ref: string;
  readonly digest: string;
  /** Of a bootstrapped image: what it was made from (bootstrap.ts). */
  readonly key?: string;
}

export function readRef(layout: StoreLayout, reference: Reference): RefRecord | undefined {
  return readRecord(refFile(layout, reference), isRef);
}

export function writeRef(layout: StoreLayout, reference: Reference, record: RefRecord): void {
  writeRecord(layout, refFile(layout, reference), record);
}

/** All references, with the files that hold them. */
export function listRefs(layout: StoreLayout): (RefRecord & { readonly file: string })[] {
  return recordFiles(layout.refs).flatMap((file) => {
    const record = readRecord(file, isRef);
    return record ? [{ ...record, file }] : [];
  });
}

/** The image, when its record and all its layers are there; undefined otherwise. */
export function readImage(layout: StoreLayout, digest: string): ImageRecord | undefined {
  const record = readManifest(manifestFile(layout, digest));
  if (record?.digest !== digest) return undefined;
  return record.layers.every(({ id }) => isDirectory(layerDirectory(layout, id))) ? record : undefined;
}

/** All records that can be read, also of images whose layers are damaged. */
export function listImages(layout: StoreLayout): ImageRecord[] {
  return recordFiles(layout.manifests).flatMap((file) => readManifest(file) ?? []);
}

/** The digests of all images there are records of, garbled ones too. */
export function manifestDigests(layout: StoreLayout): string[] {
  return recordFiles(layout.manifests).map((file) => `sha256:${parse(file).name}`);
}

export function writeImage(layout: StoreLayout, record: ImageRecord): void {
  writeRecord(layout, manifestFile(layout, record.digest), record);
}

/** The layer, when it is in the store. */
export function readLayer(layout: StoreLayout, id: string): LayerRecord | undefined {
  return isDirectory(layerDirectory(layout, id)) ? readRecord(layerFile(layout, id), isLayer) : undefined;
}

/** To be written before the layer's directory gets its place: that one says that the layer is there. */
export function writeLayer(layout: StoreLayout, record: LayerRecord): void {
  writeRecord(layout, layerFile(layout, record.id), record);
}

function readManifest(file: string): ImageRecord | undefined {
  return readRecord(file, isImage);
}

function recordFiles(directory: string): string[] {
  return readdirSync(directory).map((name) => join(directory, name));
}

// We alone write these files, whole or not at all, and read them on the way of every build: so no more is checked.
function isRef(value: object): value is RefRecord {
  return 'ref' in value && 'digest' in value;
}

function isImage(value: object): value is ImageRecord {
  return 'digest' in value && 'config' in value && 'layers' in value && Array.isArray(value.layers);
}

function isLayer(value: object): value is LayerRecord {
  return 'id' in value && 'bytes' in value && 'opaqueRoot' in value;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Undefined for a file that is missing or garbled: both mean that the image has to be had again. */
function readRecord<T extends object>(file: string, is: (value: object) => value is T): T | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof parsed === 'object' && parsed !== null && is(parsed) ? parsed : undefined;
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whole or not at all, also when the power fails. */
function writeRecord(layout: StoreLayout, file: string, record: object): void {
  const temporary = join(layout.tmp, randomUUID());
  try {
    writeFileSync(temporary, JSON.stringify(record), { flush: true, mode: 0o600 });
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}
