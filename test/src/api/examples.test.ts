import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';
import { startWorker } from './worker.ts';

const redis = useRedis();
let service: TestService;
let worker: Consumer;
let directory: string;
beforeAll(async () => {
  service = await startService(await redis.connect());
  directory = mkdtempSync(join(tmpdir(), 'cofferdam-examples-'));
  worker = startWorker(service, async ({ log }) => {
    await log.append('hello', Buffer.from('hello\n'));
    return { status: 'passed' };
  });
});
afterAll(async () => {
  await worker.close();
  await service.stop();
  rmSync(directory, { recursive: true });
});

const found = await run({ file: 'sh', args: ['-c', 'command -v curl'] }).then(
  () => true,
  () => false,
);

test.skipIf(!found)('the examples of docs/api.md run as they are printed', async () => {
  const page = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');
  const examples = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, script]) => script);
  expect(examples.length).toBeGreaterThan(5);
  const { stdout } = await run({
    file: 'bash',
    args: ['-euo', 'pipefail', '-c', examples.join('')],
    cwd: directory,
    env: {
      ...process.env,
      COFFERDAM_URL: await service.listen(),
      COFFERDAM_TOKEN: service.bearer.admin.replace('Bearer ', ''),
    },
  });
  const text = stdout.toString();
  expect(text).toContain('event: end\n');
  expect(text).toContain('"type":"end"');
  expect(text).toContain('"retryOf"');
  // The tree came in the body of a request, and was there when it was to come again by its digest.
  expect(await Readable.from(service.storage.list('uploads/')).toArray()).toHaveLength(1);
});
