import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { census, expectSameCensus } from '../../census.ts';
import { lab, sh, shell, start, tell } from './lab.ts';

const ok = { reason: 'exit', code: 0 };

test('a daemon that holds stdout does not keep its command from ending, with all its output', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const sandbox = place.open();
  const box = start(sandbox);
  const began = performance.now();
  const told = await tell(box, shell('(setsid sh -c "sleep 1000" &) ; seq 1 1000'));
  expect(told.exit).toEqual(ok);
  expect(told.output).toHaveLength(3893);
  expect(performance.now() - began).toBeLessThan(20_000);
  const alive = async () => (await tell(box, shell('cat /proc/[0-9]*/comm'))).output;
  await expect.poll(alive).toContain('sleep');
  await sandbox.destroy();
  await expectSameCensus(place.dataDir, before);
});

test('what a daemon writes after its command ended goes nowhere, and holds nothing up', async () => {
  await using place = lab();
  const box = start(place.open());
  const told = await tell(box, shell('(setsid sh -c "sleep 0.1; seq 1 1000000; touch done" &) ; echo hello'));
  expect(told).toEqual({ exit: ok, output: 'hello\n' });
  await expect
    .poll(async () => (await tell(box, shell('test -e done'))).exit.code, { timeout: 5000 })
    .toBe(0);
});

test.each([
  ['that ignores SIGTERM', 'trap "" TERM INT; echo up; while :; do sleep 1000; done'],
  ['that stopped itself', '(until grep -q "^State:.T" /proc/$$/status; do :; done; echo up) & kill -STOP $$'],
])(
  'a command %s goes on when it is asked to end, and not when the container is killed',
  async (_, script) => {
    await using place = lab();
    const box = start(place.open());
    let ended = false;
    const up = Promise.withResolvers<void>();
    const running = box
      .run(shell(script), () => up.resolve())
      .finally(() => {
        ended = true;
      });
    await up.promise;
    box.signal('SIGTERM');
    await sleep(200);
    expect(ended).toBe(false);
    box.kill();
    expect(await running).toEqual({ reason: 'exit', code: 137 });
  },
);

test('the init of a container cannot be ended or traced from within', async () => {
  await using place = lab();
  const box = start(place.open());
  const script =
    'kill -9 1; kill -TERM 1; kill -STOP 1; cat /proc/1/environ; ls -l /proc/1/fd; echo x >/proc/1/mem; echo on';
  const told = await tell(box, shell(script));
  expect(told.output).toMatch(/on\n$/);
  for (const file of ['environ', 'fd', 'mem']) {
    expect(told.output).toMatch(new RegExp(`/proc/1/${file}.*Permission denied`));
  }
  // All but itself and the init.
  expect((await tell(box, shell('sleep 1000 & kill -9 -1; wait $!; exit $?'))).exit.code).toBe(137);
  expect((await tell(box, shell('echo on'))).output).toBe('on\n');
});

test('orphans are reaped', async () => {
  await using place = lab();
  const told = await sh(
    place.open(),
    '(true &) ; (true &) ; sleep 0.1; grep -l Z.*zombie /proc/[0-9]*/status; true',
  );
  expect(told.output).toBe('');
});

test('commands start in a session of their own, with no signal blocked or ignored', async () => {
  await using place = lab();
  const { output } = await sh(place.open(), '', {
    args: ['grep', '-E', '^(Pid|NSsid|SigBlk|SigIgn)', '/proc/self/status'],
  });
  const field = (name: string) => output.match(new RegExp(`^${name}:\\s+(\\w+)`, 'm'))?.[1];
  expect(field('NSsid')).toBe(field('Pid'));
  expect([field('SigBlk'), field('SigIgn')]).toEqual(['0'.repeat(16), '0'.repeat(16)]);
});

test('the kernel ends a command before the init when memory is short', async () => {
  await using place = lab();
  expect((await sh(place.open(), 'cat /proc/self/oom_score_adj')).output).toBe('500\n');
});

test('200 commands side by side all end', async () => {
  await using place = lab();
  const box = start(place.open({ limits: { pids: 1000 } }));
  const told = await Promise.all(
    Array.from({ length: 200 }, (_, i) => tell(box, shell(`echo ${i}; exit ${i % 7}`))),
  );
  expect(told).toEqual(told.map((_, i) => ({ exit: { reason: 'exit', code: i % 7 }, output: `${i}\n` })));
});
