import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Static, Type } from 'typebox';
import { ulid } from 'ulid';
import { touchUpload, uploadKey } from '../uploads.ts';
import { Problem } from './problem.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';
import { type Encoding, encodingOf, readTar, tarTypes } from './tarball.ts';

/** A working tree in storage. */
export const Upload = Type.Object(
  {
    digest: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'SHA-256 of the tar, after any decoding.',
    }),
    bytes: Type.Integer({ minimum: 0, description: 'Size of the tar, after any decoding.' }),
  },
  { $id: 'Upload' },
);
type Upload = Static<typeof Upload>;

type Place = Pick<Context, 'redis' | 'reach' | 'storage' | 'spoolDir' | 'uploadMaxBytes'>;

const UploadPath = Type.Object({ digest: Type.String({ pattern: '^[0-9a-f]{64}$' }) });

/** What storage has of an upload, which stays there for a while from now on. Throws UploadGoingError. */
export async function findUpload(
  { redis, reach, storage }: Pick<Context, 'redis' | 'reach' | 'storage'>,
  digest: string,
): Promise<{ bytes: number } | undefined> {
  await reach(() => touchUpload(redis, digest));
  return storage.head(uploadKey(digest));
}

/** `/v1/uploads`: working trees, to be built later or more than once. */
export function uploads(app: App, context: Context): void {
  app.get(
    '/v1/uploads/:digest',
    {
      config: { access: 'submit', limited: 'by-project' },
      schema: {
        operationId: 'getUpload',
        summary: 'Ask whether a tar is there already; HEAD is enough',
        tags: ['uploads'],
        params: UploadPath,
        response: { 200: named(Upload, 'It is.') },
      },
    },
    async ({ params: { digest } }) => {
      const found = await findUpload(context, digest);
      if (!found) throw new Problem(404, 'no upload has this digest');
      return { digest, bytes: found.bytes };
    },
  );

  app.put(
    '/v1/uploads/:digest',
    {
      config: { access: 'submit', limited: 'by-project' },
      schema: {
        operationId: 'putUpload',
        summary: 'Upload the tar of a working tree',
        description: 'The digest is of the tar itself: a Content-Encoding is undone first.',
        tags: ['uploads'],
        params: UploadPath,
        body: {
          content: Object.fromEntries(
            tarTypes.map((type) => [type, { schema: Type.String({ format: 'binary' }) }]),
          ),
        },
        response: {
          200: named(Upload, 'It was there already; the body was not read.'),
          201: named(Upload, 'It is there now.'),
        },
      },
    },
    async (request, reply) => {
      const { digest } = request.params;
      const { 'content-type': type, 'content-encoding': coding } = request.headers;
      const encoding = encodingOf(type, coding);
      const found = await findUpload(context, digest);
      if (found) return reply.send({ digest, bytes: found.bytes });
      if (!(request.body instanceof Readable)) {
        throw new Problem(415, `send a tar: Content-Type: ${tarTypes.join(', ')}`);
      }
      return reply.code(201).send(await putUpload(context, request.body, encoding, digest));
    },
  );
}

/**
 * Streams a tar of a known digest to storage; nothing is kept when it is another.
 * Throws Problem: 400 (no tar, damaged, another digest), 413.
 */
async function putUpload(place: Place, body: Readable, encoding: Encoding, digest: string): Promise<Upload> {
  const tar = readTar(body, encoding, place.uploadMaxBytes);
  const { bytes } = await place.storage.put(
    uploadKey(digest),
    (async function* () {
      yield* tar.chunks;
      const actual = tar.digest();
      if (actual !== digest) throw new Problem(400, `the tar has the digest ${actual}, not ${digest}`);
    })(),
  );
  return { digest, bytes };
}

/**
 * Keeps a tar under the digest that it turns out to have. It waits in a file without a name: a crash leaves nothing.
 * Throws Problem: 400 (no tar, damaged), 413.
 */
export async function keepUpload(place: Place, body: Readable, encoding: Encoding): Promise<Upload> {
  await mkdir(place.spoolDir, { recursive: true, mode: 0o700 });
  const path = join(place.spoolDir, ulid());
  const file = await open(path, 'wx+', 0o600);
  try {
    await rm(path);
    const tar = readTar(body, encoding, place.uploadMaxBytes);
    let bytes = 0;
    for await (const chunk of tar.chunks) {
      await file.appendFile(chunk);
      bytes += chunk.length;
    }
    const digest = tar.digest();
    if (!(await findUpload(place, digest))) {
      await place.storage.put(uploadKey(digest), file.createReadStream({ start: 0, autoClose: false }));
    }
    return { digest, bytes };
  } finally {
    await file.close();
  }
}
