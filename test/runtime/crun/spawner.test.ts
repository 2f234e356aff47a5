import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run, start as startProcess } from '../../../runtime/command.ts';
import { createSpawner } from '../../../runtime/crun/spawner.ts';
import { holderFile } from '../../../runtime/host/holder.ts';
import { census, expectSameCensus } from '../../census.ts';
import { lab, sh, shell, start, tell } from './lab.ts';

/** Whether it runs: not one that ended and was not waited for yet. */
function isSpawner(pid: string | number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1] === 'spawner';
  } catch {
    return false;
  }
}

function spawnersOf(parent: number): number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ');
  return children.filter(isSpawner).map(Number);
}

test('a killed spawner takes no sandbox with it, and the next sandbox gets another one', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const sandbox = place.open();
  const box = start(sandbox);
  await tell(box, shell('true'));
  const killed = spawnersOf(process.pid);
  expect(killed).not.toEqual([]);
  for (const pid of killed) process.kill(pid, 'SIGKILL');
  await expect.poll(() => spawnersOf(process.pid)).toEqual([]);
  expect((await tell(box, shell('echo on'))).output).toBe('on\n');
  const other = place.open();
  expect((await sh(other, 'echo another')).output).toBe('another\n');
  await Promise.all([sandbox.destroy(), other.destroy()]);
  await expectSameCensus(place.dataDir, before);
});

test('what it starts is called holder', async () => {
  await using place = lab();
  await sh(place.open(), 'true');
  const holders = (census(place.dataDir)['processes'] ?? [])
    .filter((line) => line.includes(' open --mount '))
    .map((line) => readFileSync(`/proc/${Number.parseInt(line, 10)}/comm`, 'utf8'));
  expect(holders).toEqual(['holder\n', 'holder\n']);
});

test('it ends with the process that it works for', async () => {
  await using place = lab();
  const worker = startProcess(
    { file: process.execPath, args: [join(import.meta.dirname, 'busy-worker.ts'), place.dataDir] },
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (worker.stdout) await once(worker.stdout, 'data');
  await expect.poll(() => spawnersOf(worker.pid ?? 0)).toHaveLength(1);
  const [spawner = 0] = spawnersOf(worker.pid ?? 0);
  worker.kill('SIGKILL');
  await once(worker, 'close');
  await expect.poll(() => isSpawner(spawner)).toBe(false);
});

const spawnerModule = join(import.meta.dirname, '../../../runtime/crun/spawner.ts');

test('it keeps no process that has nothing else to do', async () => {
  const script = `import { createSpawner } from '${spawnerModule}'; await createSpawner('${holderFile}').ready();`;
  await run({ file: process.execPath, args: ['--input-type=module-typescript', '-e', script] });
});

/** The name of its socket, as /proc/net/unix shows it to everybody. */
function addressOf(pid: number): string {
  const sockets = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
  const name = lines
    .map((line) => line.split(/\s+/))
    .find(([, , , , , , inode, path]) => path && sockets.includes(`socket:[${inode}]`))?.[7];
  if (name === undefined) throw new Error(`spawner ${pid} listens nowhere`);
  return name.replace('@', '\0');
}

/** What makes a spawner start a program: the arguments of a holder's verb that runs one. */
function order(directory: string, program: readonly string[]): Buffer {
  const words = Buffer.from(
    [holderFile, 'unpack', directory, '--', ...program].map((word) => `${word}\0`).join(''),
  );
  const size = Buffer.alloc(4);
  size.writeUInt32LE(words.length);
  return Buffer.concat([size, words]);
}

test('it obeys the process that started it, and no other one, not even of root', async () => {
  await using place = lab();
  const others = spawnersOf(process.pid);
  const spawner = createSpawner(holderFile);
  await spawner.ready();
  const [pid = 0] = spawnersOf(process.pid).filter((each) => !others.includes(each));

  const own = spawner.connect();
  own.write(order(place.scratch, ['touch', 'ours']));
  await once(own.resume(), 'close');
  expect(readdirSync(place.scratch)).toEqual(['ours']);

  const data = order(place.scratch, ['touch', 'theirs']).toString('base64');
  const script = `require('node:net').connect(${JSON.stringify(addressOf(pid))})
    .on('error', () => {}).on('close', () => console.log('closed')).resume().write(Buffer.from('${data}', 'base64'));`;
  const { stdout } = await run({ file: process.execPath, args: ['-e', script] });
  expect(stdout.toString()).toBe('closed\n');
  expect(readdirSync(place.scratch)).toEqual(['ours']);
});
