import { afterAll, beforeAll, expect, test } from 'vitest';
import { useRedis } from '../../redis.ts';
import { push, type Receipt, senderTo } from '../api/hook-sender.ts';
import { startService, type TestService } from '../api/service.ts';
import { makeRepository, signed } from '../triggers/samples.ts';
import { cofferdam } from './cofferdam.ts';

const redis = useRedis();
let service: TestService;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  service = await startService(await redis.connect());
  await service.repositories.add(makeRepository(), { webhookSecrets: ['new-secret'] });
  const COFFERDAM_URL = await service.listen();
  env = { COFFERDAM_URL, COFFERDAM_TOKEN: service.bearer.admin.replace('Bearer ', '') };
});
afterAll(() => service.stop());

const { send } = senderTo(() => service);
const hook = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await cofferdam(['hook', ...args], { env });
  return { code, stdout: stdout.toString(), stderr };
};

test('what forges delivered is listed, shown, and built again', async () => {
  const message = push('new-secret', { ref: 'refs/heads/a\u001b[31m' });
  const hostile = (await send(message)).json<Receipt>();
  const ping = signed('github', { zen: 'x' }, 'new-secret', { event: 'ping', id: 'ping' });
  const ignored = (await send(ping)).json<Receipt>();
  const built = (await send(push())).json<Receipt>();

  const { stdout: listed } = await hook('ls', 'Octo/hello');
  const rows = listed.split('\n');
  expect(rows[0]).toMatch(/^ID +RECEIVED +REPOSITORY +EVENT +RESULT$/);
  expect(rows[1]).toMatch(new RegExp(`^${built.delivery} .* octo/hello +push +${built.builds[0]}$`));
  expect(rows[2]).toMatch(new RegExp(`^${ignored.delivery} .* ping +ignored: pong: the webhook works$`));
  expect(rows[3]).toMatch(new RegExp(`^${hostile.delivery} .* ignored: .*is no ref`));
  expect(listed).not.toContain('\u001b');
  expect((await hook('ls', 'other')).stdout.split('\n')).toHaveLength(2);
  expect(JSON.parse((await hook('ls', '-n', '1', '--json')).stdout)).toMatchObject([{ id: built.delivery }]);

  const { stdout: shown } = await hook('show', built.delivery);
  expect(shown).toContain(`build       ${built.builds[0]}\n`);
  expect((await hook('show', hostile.delivery, '--body')).stdout).toBe(message.body.toString());

  const again = await hook('replay', built.delivery);
  expect(again.code).toBe(0);
  expect(again.stdout).toMatch(/^\w{26}\n$/);
  expect(again.stdout.trim()).not.toBe(built.builds[0]);
  expect(await hook('replay', ignored.delivery)).toEqual({
    code: 0,
    stdout: '',
    stderr: 'ignored: pong: the webhook works\n',
  });
});

test('what is not there is an error of usage', async () => {
  const { code, stderr } = await hook('show', 'none');
  expect([code, stderr]).toEqual([2, expect.stringContaining("there is no delivery 'none'")]);
});
