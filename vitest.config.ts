import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Many tests start real containers on machines that do other things too.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // The registry of `bin/bootstrap --test`, and tools such as mkfs.ext4 that not every PATH has.
    env: {
      PATH: [
        `${import.meta.dirname}/.cofferdam-tools/bin`,
        process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
        '/usr/local/sbin',
        '/usr/sbin',
        '/sbin',
      ].join(':'),
    },
  },
});
