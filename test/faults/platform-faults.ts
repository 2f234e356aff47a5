import { once } from 'node:events';
import { chmodSync, existsSync, globSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { start } from '../../runtime/command.ts';
import { thisHost } from '../../runtime/host.ts';
import { findTool } from '../../runtime/host/tools.ts';
import { startS3 } from '../src/storage/s3-server.ts';
import { type Link, openLink } from './link.ts';
import { type Fault, wait } from './scene.ts';
import { tickingJob } from './job.ts';

const libfaketime = () => globSync('/usr/lib/*/faketime/libfaketime.so.1')[0];

let storageLink: Link | undefined;

/** What is done to the machine below: crun, ids, clock, storage. */
export const platformFaults: readonly Fault[] = [
  {
    id: 'F11',
    title: 'the clock of the workers jumps by an hour and by a year, both ways',
    missing: () =>
      libfaketime() === undefined ? 'libfaketime is not installed (package libfaketime)' : undefined,
    prepare: (scratch) => {
      const clock = join(scratch, 'clock');
      writeFileSync(clock, '+0');
      return Promise.resolve({
        env: {
          LD_PRELOAD: libfaketime(),
          FAKETIME_TIMESTAMP_FILE: clock,
          FAKETIME_NO_CACHE: '1',
          // Timers go by the monotonic clock, which nobody can set.
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        },
      });
    },
    strike: async ({ random, scratch, load }) => {
      const loading = load(8);
      for (const jump of ['+1h', '-1h', '+1y', '-1y', '+0']) {
        await wait(random.between(300, 1_200));
        const clock = join(scratch, 'clock');
        writeFileSync(`${clock}.new`, jump);
        renameSync(`${clock}.new`, clock);
      }
      await loading;
      return { untouched: ['w1', 'w2'] };
    },
  },
  {
    id: 'F16',
    title: 'object storage is slow, and hangs for a while',
    prepare: async (scratch) => {
      const s3 = await startS3(join(scratch, 's3'));
      const direct = s3.url('faults');
      const port = Number(/127\.0\.0\.1%3A(\d+)/.exec(direct)?.[1]);
      const link = await openLink({ port, host: '127.0.0.1' });
      storageLink = link;
      const store = direct.replace(String(port), String(link.port));
      return {
        store,
        close: async () => {
          await link.close();
          await s3.stop();
        },
      };
    },
    strike: async ({ random, ledger, load }) => {
      const loading = load(5);
      await ledger.submit({ ...tickingJob(random, 1), lines: 400_000, burst: 10_000, pauseMs: 10 });
      storageLink?.delay(random.between(20, 200));
      await wait(random.between(500, 3_000));
      storageLink?.block('both');
      await wait(random.between(5_000, 15_000));
      storageLink?.block('none');
      await wait(3_000);
      storageLink?.delay(0);
      await loading;
      return {};
    },
  },
  {
    id: 'F17',
    title: 'crun fails, hangs, or is gone for a while',
    prepare: (scratch) => {
      const real = findTool(thisHost(scratch), 'crun') ?? 'crun';
      const tools = join(scratch, 'tools');
      mkdirSync(tools);
      writeFileSync(join(scratch, 'mood'), 'well\n');
      // The holder gives it descriptors and an environment; exec keeps both.
      const script = `#!/bin/sh\nread -r mood <'${join(scratch, 'mood')}'\ncase $mood in\n  fails) exit 1 ;;\n  hangs) exec sleep 1000 ;;\nesac\nexec '${real}' "$@"\n`;
      writeFileSync(join(tools, 'crun'), script);
      chmodSync(join(tools, 'crun'), 0o755);
      return Promise.resolve({ env: { PATH: `${tools}:${process.env['PATH'] ?? ''}` } });
    },
    strike: async ({ random, scratch, load }) => {
      const loading = load(6);
      const crun = join(scratch, 'tools', 'crun');
      await wait(random.between(300, 1_500));
      const mood = random.pick(['fails', 'gone']);
      if (mood === 'gone') renameSync(crun, `${crun}.gone`);
      else writeFileSync(join(scratch, 'mood'), `${mood}\n`);
      await wait(random.between(500, 4_000));
      if (mood === 'gone') renameSync(`${crun}.gone`, crun);
      else writeFileSync(join(scratch, 'mood'), 'well\n');
      await loading;
      return { errored: ({ reason, attempts = [] }) => reason === 'sandbox' && attempts.length === 3 };
    },
    drainMs: 180_000,
  },
  {
    id: 'F17-hang',
    aftermath: 'crippled',
    title: 'crun hangs: the build can be canceled, and times out',
    prepare: (scratch) => {
      const tools = join(scratch, 'tools');
      mkdirSync(tools);
      writeFileSync(join(tools, 'crun'), '#!/bin/sh\nexec sleep 1000\n');
      chmodSync(join(tools, 'crun'), 0o755);
      return Promise.resolve({ env: { PATH: `${tools}:${process.env['PATH'] ?? ''}` } });
    },
    strike: async ({ random, service, ledger, demand }) => {
      const entry = await ledger.submit(tickingJob(random, 1));
      await wait(random.between(1_000, 4_000));
      entry.canceled = true;
      await service.client.cancel(entry.id);
      const began = performance.now();
      while (entry.verdicts.size === 0 && performance.now() - began < 5_000) await wait(50);
      demand('a build whose crun hangs is gone within 5 s of its cancel', entry.verdicts.size > 0);
      return {};
    },
  },
  {
    id: 'F29',
    title: 'all id ranges are taken for a while',
    strike: async ({ random, dataDir, load }) => {
      const loading = load(5);
      await wait(random.between(0, 1_500));
      const slots = join(dataDir, 'slots');
      const program =
        'use Fcntl ":flock"; for (0..4095) { open my $f, ">>", "$ARGV[0]/$_" or die $!; flock $f, LOCK_EX|LOCK_NB; push @f, $f } $|=1; print "taken\\n"; <STDIN>';
      const holder = start(
        { file: 'perl', args: ['-e', program, slots] },
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      if (holder.stdout) await once(holder.stdout, 'data');
      await wait(random.between(2_000, 6_000));
      holder.stdin?.end();
      await once(holder, 'close');
      await loading;
      return { errored: ({ reason, attempts = [] }) => reason === 'sandbox' && attempts.length === 3 };
    },
    drainMs: 180_000,
    missing: () => (existsSync('/usr/bin/perl') ? undefined : 'perl is not installed'),
  },
];
