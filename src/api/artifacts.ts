import { Readable } from 'node:stream';
import { Type } from 'typebox';
import { tokenOf } from './auth.ts';
import { BuildPath, isFresh, knownBuild } from './builds.ts';
import { Problem } from './problem.ts';
import { parseRange } from './range.ts';
import { Artifact } from './record.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

/** What a build left, in the order it was collected. */
export const ArtifactList = Type.Object({ artifacts: Type.Array(named(Artifact)) }, { $id: 'ArtifactList' });

const ArtifactPath = Type.Object({
  ...BuildPath.properties,
  '*': Type.String({ description: 'Path of the artifact.' }),
});

/** `/v1/builds/:id/artifacts`: what strangers' code made. Never shown by a browser, only saved. */
export function artifacts(app: App, context: Context): void {
  app.get(
    '/v1/builds/:id/artifacts',
    {
      config: { access: 'read', limited: 'by-project' },
      schema: {
        operationId: 'listArtifacts',
        summary: 'List the artifacts of a build',
        tags: ['artifacts'],
        params: BuildPath,
        response: { 200: named(ArtifactList) },
      },
    },
    async ({ params, token }) => {
      const { record } = await knownBuild(context, params.id, tokenOf({ token }));
      return { artifacts: [...record.artifacts] };
    },
  );

  app.get(
    '/v1/builds/:id/artifacts/*',
    {
      config: { access: 'read', limited: 'by-project' },
      schema: {
        operationId: 'getArtifact',
        summary: 'Download an artifact, or a range of it',
        tags: ['artifacts'],
        params: ArtifactPath,
        response: {
          200: binary('The artifact.'),
          206: binary('The range that was asked for.'),
          304: Type.Null({ description: 'If-None-Match names it.' }),
        },
      },
    },
    async (request, reply) => {
      const { id, '*': path } = request.params;
      const { record } = await knownBuild(context, id, tokenOf(request));
      // The path of the request is only ever compared, never resolved.
      const artifact = record.artifacts.find((each) => each.path === path);
      if (!artifact || !record.storage) throw new Problem(404, `the build has no artifact '${path}'`);
      const etag = `"${artifact.sha256}"`;
      reply.headers({
        etag,
        'accept-ranges': 'bytes',
        'cache-control': 'private, max-age=31536000, immutable',
        'content-disposition': attachment(artifact.path),
        'content-security-policy': "sandbox; default-src 'none'",
        'repr-digest': `sha-256=:${Buffer.from(artifact.sha256, 'hex').toString('base64')}:`,
        'x-content-type-options': 'nosniff',
      });
      if (isFresh(request.headers['if-none-match'], etag)) return reply.code(304).send(null);

      const { range: asked, 'if-range': ifRange } = request.headers;
      const usable = ifRange === undefined || ifRange === etag;
      const range = parseRange(usable ? asked : undefined, artifact.size);
      if (range === 'unsatisfiable') {
        const headers = { 'content-range': `bytes */${artifact.size}` };
        throw new Problem(416, `the artifact has ${artifact.size} bytes`, { headers });
      }
      const { start, end } = range === 'all' ? { start: 0, end: artifact.size - 1 } : range;
      reply.type('application/octet-stream').header('content-length', end - start + 1);
      if (range !== 'all') reply.code(206).header('content-range', `bytes ${start}-${end}/${artifact.size}`);
      // Of a string fastify would say the length itself.
      if (request.method === 'HEAD' || artifact.size === 0) return reply.send(Readable.from([]));
      const { body } = await context.storage.get(`${record.storage.prefix}artifacts/${path}`, { start, end });
      return reply.send(body);
    },
  );
}

const binary = (description: string) => ({
  description,
  content: {
    'application/octet-stream': {
      schema: Type.Unsafe<Readable | string>({ type: 'string', format: 'binary' }),
    },
  },
});

/** A file name for any client (RFC 6266, RFC 8187): the last part of the path, which may hold anything but NUL. */
function attachment(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const plain = name.replaceAll(/[^A-Za-z0-9._ -]/g, '_');
  const exact = encodeURIComponent(name.toWellFormed()).replaceAll(/['()*]/g, (each) => {
    return `%${each.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}
