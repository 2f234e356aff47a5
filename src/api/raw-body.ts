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
  /** Bytes of each request that has no answer yet. */
  const sizes = new Map<FastifyRequest, number>();
  plugin.addHook('onRequest', (request, reply, done) => {
    sizes.set(request, 0);
    reply.raw.once('close', () => {
      held -= sizes.get(request) ?? 0;
      sizes.delete(request);
    });
    done();
  });
  plugin.removeAllContentTypeParsers();
  plugin.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    const tooLarge = () => new Problem(413, `the body is larger than ${one} bytes`);
    if (Number(request.headers['content-length'] ?? 0) > one) throw tooLarge();
    const chunks: Buffer[] = [];
    for await (const chunk of payload) {
      if (!Buffer.isBuffer(chunk)) throw new TypeError('a body without encoding comes as bytes');
      const size = sizes.get(request);
      if (size === undefined) throw new Problem(400, 'the body broke off');
      if (size + chunk.length > one) throw tooLarge();
      if (held + chunk.length > all) {
        const headers = { 'retry-after': '5' };
        throw new Problem(503, 'too many large bodies come at once; send it again in some seconds', {
          headers,
        });
      }
      held += chunk.length;
      sizes.set(request, size + chunk.length);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  });
}
