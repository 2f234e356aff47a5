import { type Client, openClient } from '../client.ts';
import { RefusedError } from '../client/problem.ts';
import { loadAccess, loadConfig } from '../config.ts';
import { UsageError } from '../usage.ts';
import { plain } from './table.ts';

/**
 * Does something with the service that COFFERDAM_URL names, or the one of this machine. What the service refuses
 * because of the request is the caller's mistake: UsageError.
 */
export async function withService<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const { url = 'http://127.0.0.1:8080', token } = loadAccess(loadConfig());
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
    throw new UsageError(`COFFERDAM_URL is '${url}'; write it as http://HOST:PORT or https://HOST`);
  }
  const client = openClient({ url, token }, (why) => process.stderr.write(`${plain(why)}\n`));
  try {
    return await work(client);
  } catch (error) {
    throw error instanceof RefusedError && isMistake(error.status)
      ? new UsageError(error.message, { cause: error })
      : error;
  }
}

const isMistake = (status: number) => status >= 400 && status < 500 && status !== 408 && status !== 429;
