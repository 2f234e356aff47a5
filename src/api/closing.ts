import type { FastifyInstance, FastifyReply } from 'fastify';

/** Responses that last: each has a signal that ends it when its client goes, or the server closes. */
export interface Streams {
  /** @param stallMs a client that takes nothing for as long is dropped */
  open(reply: FastifyReply, stallMs: number): AbortSignal;
  readonly count: number;
}

/**
 * Makes app.close() graceful: streams end at once, requests under way may finish for `graceMs`, and then every
 * connection is cut. Without it close() waits for whoever follows a log.
 */
export function closeGracefully(app: FastifyInstance, graceMs: number): Streams {
  const open = new Set<AbortController>();
  let closing = false;

  app.addHook('preClose', (done) => {
    closing = true;
    for (const stream of open) stream.abort();
    const cut = setTimeout(() => app.server.closeAllConnections(), graceMs);
    app.server.once('close', () => clearTimeout(cut));
    done();
  });
  // A kept-alive connection would hold the server open until its client thinks of something else.
  app.addHook('onResponse', (request, _reply, done) => {
    if (closing) request.raw.socket.destroySoon();
    done();
  });

  return {
    open: (reply, stallMs) => {
      const stream = new AbortController();
      if (closing) stream.abort();
      open.add(stream);
      reply.raw.once('close', () => {
        open.delete(stream);
        stream.abort();
      });
      reply.raw.setTimeout(stallMs, () => reply.raw.destroy());
      return stream.signal;
    },
    get count() {
      return open.size;
    },
  };
}
