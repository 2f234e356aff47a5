import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSync } from 'node:fs';
import { run, start } from '../../../runtime/command.ts';
import { freePort } from '../../free-port.ts';

export interface Registry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** `METHOD path status` of every request so far. */
  requests(): string[];
  /** Pushes the image of an OCI layout. */
  push(layout: string, name: string): Promise<void>;
  stop(): Promise<void>;
}

/** Debian's docker-registry on a free loopback port, with its files in `dir`; `htpasswd` asks for credentials. */
export async function startRegistry(dir: string, htpasswd?: string): Promise<Registry> {
  mkdirSync(dir, { recursive: true });
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const log = join(dir, 'log');
  writeFileSync(join(dir, 'htpasswd'), htpasswd ?? '');
  const auth = htpasswd ? `auth: { htpasswd: { realm: test, path: ${join(dir, 'htpasswd')} } }\n` : '';
  writeFileSync(
    join(dir, 'config.yml'),
    `version: 0.1\nstorage: { filesystem: { rootdirectory: ${join(dir, 'data')} } }\nhttp: { addr: '${host}' }\n${auth}`,
  );
  const output = openSync(log, 'a');
  const server = start(
    { file: 'setpriv', args: ['--pdeathsig', 'KILL', 'docker-registry', 'serve', join(dir, 'config.yml')] },
    { stdio: ['ignore', output, output] },
  );
  const closed = once(server, 'close');
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined);
    if (answer) break;
    if (attempt === 100) throw new Error(`docker-registry does not start:\n${readFileSync(log, 'utf8')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    host,
    requests: () =>
      [...readFileSync(log, 'utf8').matchAll(/"([A-Z]+) (\S+) HTTP\/1.1" (\d+)/g)].map(
        ([, method, path, status]) => `${method} ${path} ${status}`,
      ),
    async push(layout, name) {
      const credentials = htpasswd ? ['--dest-creds', 'user:letmein'] : [];
      const options = ['--quiet', '--preserve-digests', '--dest-tls-verify=false', ...credentials];
      await run({ file: 'skopeo', args: ['copy', ...options, `oci:${layout}`, `docker://${host}/${name}`] });
    },
    async stop() {
      server.kill('SIGKILL');
      await closed;
    },
  };
}
