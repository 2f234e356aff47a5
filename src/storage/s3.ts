import { Readable } from 'node:stream';
import type * as S3 from '@aws-sdk/client-s3';
import type { Upload } from '@aws-sdk/lib-storage';
import { checkKey, checkPrefix } from './key.ts';
import { StorageMissing } from './missing.ts';
import type { Storage } from './storage.ts';

export interface S3Place {
  readonly bucket: string;
  /** Goes before every key, with a slash between; may be empty. */
  readonly prefix: string;
  /** Of another service than Amazon's. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
}

/**
 * Objects in a bucket, with the credentials that the AWS SDK finds (AWS_* and its other sources). The SDK is loaded at
 * the first use: it costs more than the rest of the program.
 */
export function openS3Storage(place: S3Place): Storage {
  let opening: Promise<Bucket> | undefined;
  const bucket = () => (opening ??= openBucket(place));
  const base = place.prefix.replace(/\/*$/, (slashes) => (place.prefix === slashes ? '' : '/'));
  const at = (key: string) => {
    checkKey(key);
    return { Bucket: place.bucket, Key: base + key };
  };
  const below = (prefix: string) => {
    checkPrefix(prefix);
    return base + prefix;
  };

  return {
    put: async (key, body) => {
      const { sdk, client, Upload: MultipartUpload } = await bucket();
      if (Buffer.isBuffer(body)) {
        await client.send(new sdk.PutObjectCommand({ ...at(key), Body: body }));
        return { bytes: body.length };
      }
      let bytes = 0;
      let broken: unknown;
      const counted = (async function* () {
        try {
          for await (const chunk of body) {
            bytes += chunk.length;
            yield chunk;
          }
        } catch (error) {
          throw (broken = error);
        }
      })();
      const params = { ...at(key), Body: Readable.from(counted, { objectMode: false }) };
      try {
        await new MultipartUpload({ client, params }).done();
      } catch (error) {
        // What broke the body off, and not what came of cleaning up after it.
        throw broken ?? error;
      }
      return { bytes };
    },
    get: async (key, range) => {
      const { sdk, client } = await bucket();
      const wanted = range && { Range: `bytes=${range.start}-${range.end ?? ''}` };
      try {
        const answer = await client.send(new sdk.GetObjectCommand({ ...at(key), ...wanted }));
        if (!(answer.Body instanceof Readable)) throw new TypeError(`no body for '${key}'`);
        const bytes = answer.ContentLength ?? 0;
        const total = Number(/\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1] ?? bytes);
        return { body: answer.Body, bytes, total };
      } catch (error) {
        if (isNamed(error, 'NoSuchKey')) throw new StorageMissing(key, { cause: error });
        if (!isNamed(error, 'InvalidRange')) throw error;
        const { ContentLength: total = 0 } = await client.send(new sdk.HeadObjectCommand(at(key)));
        return { body: Readable.from([]), bytes: 0, total };
      }
    },
    head: async (key) => {
      const { sdk, client } = await bucket();
      try {
        const { ContentLength = 0 } = await client.send(new sdk.HeadObjectCommand(at(key)));
        return { bytes: ContentLength };
      } catch (error) {
        if (isNamed(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    list: async function* (prefix) {
      for await (const page of pages(await bucket(), place.bucket, below(prefix))) {
        for (const key of page) yield key.slice(base.length);
      }
    },
    remove: async (key) => {
      const { sdk, client } = await bucket();
      await client.send(new sdk.DeleteObjectCommand(at(key)));
    },
    removeAll: async (prefix) => {
      const opened = await bucket();
      for await (const page of pages(opened, place.bucket, below(prefix))) {
        // One by one: not every service takes DeleteObjects with the checksums that the SDK sends.
        await Promise.all(
          page.map((Key) =>
            opened.client.send(new opened.sdk.DeleteObjectCommand({ Bucket: place.bucket, Key })),
          ),
        );
      }
    },
  };
}

interface Bucket {
  readonly sdk: typeof S3;
  readonly Upload: typeof Upload;
  readonly client: S3.S3Client;
}

async function openBucket({ endpoint, region }: S3Place): Promise<Bucket> {
  const [sdk, lib] = await Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/lib-storage')]);
  const client = new sdk.S3Client({
    ...(region !== undefined && { region }),
    // Other services have bucket names in the path, and no regions that must be right.
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true, region: region ?? 'us-east-1' }),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  return { sdk, Upload: lib.Upload, client };
}

/** Keys below a prefix, up to 1,000 at a time. */
async function* pages({ sdk, client }: Bucket, bucket: string, prefix: string): AsyncGenerator<string[]> {
  const listing = sdk.paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix });
  for await (const { Contents = [] } of listing) {
    yield Contents.flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
  }
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}
