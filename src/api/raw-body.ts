import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';

/** How much of unauthenticated bodies is held in memory. */
export interface RawBodyLimits {
  /** Bytes of one body. */
  readonly one: number;
  /** Bytes of all that are being read or handled at once. */
  readonly all: number;
}

/**
 * Gives the routes of a plugin their bodies as the bytes that came: what is signed is not what is parsed and written
 * again. Throws Problem: 413 for one that is too large, 503 when too many come at once.
 */
export function takeRawBodies(plugin: FastifyInstance, { one, all }: RawBodyLimits): void {
  let held = 0;
  plugin.removeAllContentTypeParsers();
  plugin.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    const tooLarge = () => new Problem(413, `the body is larger than ${one} bytes`);
    if (Number(request.headers['content-length'] ?? 0) > one) throw tooLarge();
    const chunks: Buffer[] = [];
    let size = 0;
    request.raw.once('close', () => (held -= size));
    for await (const chunk of payload) {
      if (!Buffer.isBuffer(chunk)) throw new TypeError('a body without encoding comes as bytes');
      if (size + chunk.length > one) throw tooLarge();
      if (held + chunk.length > all) {
        const headers = { 'retry-after': '5' };
        throw new Problem(503, 'too many large bodies come at once; send it again in some seconds', {
          headers,
        });
      }
      size += chunk.length;
      held += chunk.length;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  });
}
