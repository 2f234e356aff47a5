import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { Readable } from 'node:stream';
import { start } from '../runtime/command.ts';
import { type Contender, greeter, timeGreeting } from './greeting.ts';
import type { Site } from './site.ts';

/** Each frame of a log: one byte for the stream, three of nothing, four for the length. */
const logHeaderBytes = 8;

/**
 * Create, start, follow the log, wait and remove over the Docker Engine API, without network. Undefined when nobody
 * answers at the socket. The image is imported here and removed by close().
 */
export async function openDocker({ root, dockerSocket }: Site): Promise<Contender | undefined> {
  const agent = new Agent({ keepAlive: true });
  const call = async (method: string, path: string, body?: object | Readable): Promise<IncomingMessage> => {
    const answer = Promise.withResolvers<IncomingMessage>();
    const sent = request({ socketPath: dockerSocket, agent, method, path }, answer.resolve);
    sent.on('error', answer.reject);
    if (body && 'pipe' in body) body.pipe(sent);
    else if (body) sent.setHeader('Content-Type', 'application/json').end(JSON.stringify(body));
    else sent.end();
    const response = await answer.promise;
    if ((response.statusCode ?? 500) >= 400) {
      throw new Error(`docker: ${method} ${path}: ${response.statusCode} ${await text(response)}`);
    }
    return response;
  };

  try {
    await text(await call('GET', '/_ping'));
  } catch {
    return undefined;
  }
  const image = `cofferdam-bench:${process.pid}`;
  const packer = start(
    { file: 'tar', args: ['-C', root, '-c', '.'] },
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (!packer.stdout) throw new TypeError('tar has no stdout');
  const imported = await text(
    await call('POST', `/images/create?fromSrc=-&repo=cofferdam-bench&tag=${process.pid}`, packer.stdout),
  );
  if (imported.includes('"error"')) throw new Error(`docker: import: ${imported}`);
  const container = { Image: image, Cmd: greeter, HostConfig: { NetworkMode: 'none' } };

  return {
    name: 'Docker API',
    greet: () =>
      timeGreeting(async (output) => {
        const { Id: id } = JSON.parse(await text(await call('POST', '/containers/create', container)));
        await text(await call('POST', `/containers/${id}/start`));
        const log = await call('GET', `/containers/${id}/logs?follow=1&stdout=1`);
        log.on('data', (frame: Buffer) => output(frame.subarray(logHeaderBytes)));
        await once(log, 'end');
        await text(await call('POST', `/containers/${id}/wait`));
        await text(await call('DELETE', `/containers/${id}`));
      }),
    close: async () => {
      await text(await call('DELETE', `/images/${image}`));
      agent.destroy();
    },
  };
}

async function text(response: IncomingMessage): Promise<string> {
  let all = '';
  for await (const chunk of response.setEncoding('utf8')) all += chunk;
  return all;
}
