import { mkdirSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lab, shell, start, tell } from '../runtime/crun/lab.ts';
import { probeProgram } from './program.ts';

const starts = 20;

// 11: what runs already changes all that it can while another container of its build starts.
test('containers that start beside one that turns directories into links have the mounts that they should', async () => {
  await using place = lab();
  const source = join(place.scratch, 'source');
  mkdirSync(source);
  cpSync(await probeProgram(), join(source, 'probe'));
  writeFileSync(join(source, 'facts'), `data ${place.dataDir}\n`);
  const sandbox = place.open({
    workspace: { sources: [source] },
    volumes: [{ path: '/workspace/a/b', layers: [] }],
  });
  const churn = `mkdir dir; ln -s /proc link; while :; do
    mv a old; mv link a; mv a link; mv old a; mv dir tmp; ln -s /dev/null dir; rm dir; mv tmp dir; done 2>/dev/null`;
  const up = Promise.withResolvers<void>();
  const churning = start(sandbox)
    .run(shell(`echo up; ${churn}`), () => up.resolve())
    .catch(() => {});
  await up.promise;
  for (let i = 0; i < starts; i++) {
    const box = start(sandbox);
    const { output } = await tell(
      box,
      shell('for id in 8-read-only 10-masked 10-masks 17-shared 17-kinds; do ./probe $id; done'),
    );
    expect(output.match(/"got":"[^"]*"/g)).toEqual(Array.from({ length: 5 }, () => '"got":"none"'));
    box.kill();
  }
  await sandbox.destroy();
  await churning;
});

// 15: what the init has open is no way out (CVE-2024-21626).
test('a directory to run in that goes by a descriptor of the init is refused', async () => {
  await using place = lab();
  const box = start(place.open());
  await tell(box, shell('ln -s /proc/self/fd/3 link; ln -s /proc/1/cwd init'));
  const ways = [
    ...Array.from({ length: 12 }, (_, fd) => `/proc/self/fd/${fd}`),
    '/proc/1/cwd',
    '/proc/1/root',
  ];
  for (const cwd of [...ways, '/workspace/link', '/workspace/init', '/proc/self/fd/7/../..']) {
    const told = await tell(box, shell('pwd; ls -a', { cwd }));
    expect(told.exit, `${cwd}: ${told.output}`).toEqual({ reason: 'exit', code: 126 });
  }
});
