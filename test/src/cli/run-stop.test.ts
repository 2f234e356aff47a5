import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { start } from '../../../runtime/command.ts';
import { census, expectSameCensus } from '../../census.ts';
import { testData } from '../../rootfs.ts';
import {
  command,
  cofferdam,
  dataDir,
  image,
  killRunning,
  makeImage,
  script,
  startCofferdam,
} from './cofferdam.ts';

beforeAll(makeImage, 300_000);
afterEach(killRunning);

const deaf = 'trap "" TERM INT HUP; echo ready; while :; do sleep 1; done';
const obedient = 'trap "echo cleaned up; exit 0" TERM; echo ready; sleep 1000 & wait';

/** How the command ended, and how long that took from the first signal. */
async function stopped(text: string, ...signals: readonly NodeJS.Signals[]) {
  const build = startCofferdam(script(text));
  await build.said('ready\n');
  const began = performance.now();
  for (const signal of signals) {
    // To the process group, as a terminal does it.
    process.kill(-build.pid, signal);
    await sleep(150);
  }
  const { code, stdout, stderr } = await build.ended;
  return { code, stdout: stdout.toString(), stderr, ms: performance.now() - began };
}

describe('Ctrl-C and its like cancel a build', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s: its processes may clean up', async (signal) => {
    const { code, stdout, stderr, ms } = await stopped(obedient, signal);
    expect({ code, stdout }).toEqual({ code: 130, stdout: 'ready\ncleaned up\n' });
    expect(stderr).toContain('\nstopping the build; once more to kill it at once\nsh: canceled\n');
    expect(stderr).toMatch(/\ncanceled\n$/);
    expect(ms).toBeLessThan(2000);
  });

  test('once: what does not heed it has 1.5 s', async () => {
    const { code, ms } = await stopped(deaf, 'SIGINT');
    expect(code).toBe(130);
    expect(ms).toBeGreaterThan(1400);
    expect(ms).toBeLessThan(4000);
  });

  test('twice: at once', async () => {
    const { code, stderr, ms } = await stopped(deaf, 'SIGINT', 'SIGINT');
    expect(code).toBe(130);
    expect(stderr).toContain('killing the build\n');
    expect(ms).toBeLessThan(1300);
  });

  test('three times: also when nobody reads the log', async () => {
    const build = startCofferdam(script('echo ready; yes'), { slowness: { first: 3000, each: 0 } });
    await sleep(1200);
    for (let i = 0; i < 3; i++) {
      process.kill(build.pid, 'SIGTERM');
      await sleep(100);
    }
    expect(() => process.kill(build.pid, 0)).toThrow('ESRCH');
    expect((await build.ended).code).toBeNull();
  });

  test('in a terminal', async () => {
    const line = [command, ...script(obedient).map((word) => `'${word}'`)].join(' ');
    const env = { ...process.env, COFFERDAM_DATA: dataDir, SHELL: '/bin/sh', NO_COLOR: '1' };
    const terminal = start({ file: 'script', args: ['-qec', line, '/dev/null'], env }, { stdio: 'pipe' });
    let shown = '';
    terminal.stdout?.on('data', (chunk: Buffer) => {
      const wasReady = shown.includes('ready');
      shown += chunk.toString();
      if (!wasReady && shown.includes('ready')) terminal.stdin?.write('\u0003');
    });
    await once(terminal, 'close');
    expect(terminal.exitCode).toBe(130);
    expect(shown).toContain(
      '^Cstopping the build; once more to kill it at once\r\ncleaned up\r\nsh: canceled\r\n',
    );
  });
});

describe('a build that takes too long', () => {
  test('is timed out: SIGTERM, and its processes may clean up', async () => {
    const { code, stdout, stderr } = await cofferdam(script(obedient, '--timeout', '1s'));
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 124, stdout: 'ready\ncleaned up\n' });
    expect(stderr).toMatch(/^── sh ─+\nsh: timed out\n[^]*\ntimed out\n$/);
  });

  test('and does not heed that is killed 10 s later', async () => {
    const began = performance.now();
    const { code } = await cofferdam(script(deaf, '--timeout', '1s'));
    expect(code).toBe(124);
    expect(performance.now() - began).toBeGreaterThan(11_000);
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

/** A data directory of its own: the census tells by its path what belongs to builds that use it. */
function ownData(): Disposable & { readonly path: string; readonly env: NodeJS.ProcessEnv } {
  mkdirSync(testData, { recursive: true });
  const path = mkdtempSync(join(testData, 'stopped-'));
  return { path, env: { COFFERDAM_DATA: path }, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

test('a build that is stopped while its image is made does not wait for that, and leaves no process', async () => {
  using own = ownData();
  const { env } = own;
  await cofferdam(['run', '--pull', 'never', '--image', 'none', testData, '--', 'true'], { env });
  const before = census(own.path);
  const build = startCofferdam(['run', '--image', image, testData, '--', 'true'], { env });
  await build.said('extracting archives');
  expect(census(own.path).processes).not.toEqual([]);
  const began = performance.now();
  process.kill(build.pid, 'SIGTERM');
  expect((await build.ended).code).toBe(130);
  expect(performance.now() - began).toBeLessThan(3000);
  await expectSameCensus(own.path, before);
});

test('SIGKILL at any moment leaves nothing', { timeout: 60_000 }, async () => {
  using own = ownData();
  const { env } = own;
  // The images of all tests, and everything else its own.
  symlinkSync(join(dataDir, 'images'), join(own.path, 'images'));
  const busy = script('(setsid sleep 1000 &); head -c 50M /dev/zero >big; echo ready; sleep 1000');
  expect((await cofferdam(script('true'), { env })).code).toBe(0);
  const before = census(own.path);
  for (const delay of [50, 120, 160, 200, 240, 300, 400, 800]) {
    const build = startCofferdam(busy, { env });
    await sleep(delay);
    process.kill(build.pid, 'SIGKILL');
    expect((await build.ended).code).toBeNull();
    await expectSameCensus(own.path, before);
  }
  const build = startCofferdam(busy, { env });
  await build.said('ready\n');
  expect(census(own.path)).not.toEqual(before);
  process.kill(build.pid, 'SIGKILL');
  await build.ended;
  await expectSameCensus(own.path, before);
});
