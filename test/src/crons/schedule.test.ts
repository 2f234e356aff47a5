import { describe, expect, test } from 'vitest';
import { parseCronJob } from '../../../src/crons/job.ts';
import { CronJobError, lastRun, nextRuns, parseSchedule } from '../../../src/crons/schedule.ts';

/** As `2026-03-29T01:30`, UTC. */
const minutes = (dates: readonly Date[]) => dates.map((date) => date.toISOString().slice(0, 16));
const fieldOf = (call: () => unknown) => {
  try {
    call();
    return 'none';
  } catch (error) {
    if (!(error instanceof CronJobError)) throw error;
    return error.field;
  }
};

describe('a schedule', () => {
  test.for([
    ['0 3 * * 1-5', '0 3 * * 1-5'],
    ['  */15\t9-17  1,15 jan-mar mon ', '*/15 9-17 1,15 jan-mar mon'],
    ['0 0 29 2 *', '0 0 29 2 *'],
    ['1-59/2 * * * *', '1-59/2 * * * *'],
  ])('%o is %s', ([text = '', schedule]) => {
    expect(parseSchedule(text, 'UTC')).toEqual({ schedule, timezone: 'UTC' });
  });

  test.for([
    ['nothing', ''],
    ['three fields', '0 3 *'],
    ['four fields', '0 3 * *'],
    ['seconds', '0 0 3 * * *'],
    ['a word', '@daily'],
    ['a hash', 'H 3 * * *'],
    ['a hash in a range', 'H(0-9) 3 * * *'],
    ['a hash in a list', '5,H 3 * * *'],
    ['the last day', '0 3 L * *'],
    ['the second Monday', '0 3 * * 1#2'],
    ['no matter', '0 3 ? * *'],
    ['no number', 'x 3 * * *'],
    ['too large a number', '60 3 * * *'],
    ['a range to what is before', '5-1 3 * * *'],
    ['a step of nothing', '*/0 3 * * *'],
    ['an empty item', '1,,2 3 * * *'],
    ['a day that no month has', '0 3 30 2 *'],
    ['a day that these months do not have', '0 3 31 4,6 *'],
    ['a line', '0 3 * * *\n0 4 * * *'],
  ])('is not %s', ([, text = '']) => {
    expect(fieldOf(() => parseSchedule(text, 'UTC'))).toBe('schedule');
  });

  test.for(['', 'Mars/Olympus', '+02:00', 'UTC+2', 'local', 'system', 'Europe/Berlin '])(
    'is not in the time zone %o',
    (timezone) => {
      expect(fieldOf(() => parseSchedule('0 3 * * *', timezone))).toBe('timezone');
    },
  );

  test('with both days is at either', () => {
    const runs = nextRuns({ schedule: '0 3 1 * mon', timezone: 'UTC' }, new Date('2026-03-28T12:00Z'), 3);
    expect(minutes(runs)).toEqual(['2026-03-30T03:00', '2026-04-01T03:00', '2026-04-06T03:00']);
  });
});

describe('when the clock is', () => {
  test.for([
    // At 02:00 it becomes 03:00, which is 01:00 UTC.
    [
      'put forward, a time that is left out comes an hour later',
      '30 2 * * *',
      'Europe/Berlin',
      '2026-03-28T12:00Z',
      ['2026-03-29T01:30', '2026-03-30T00:30'],
    ],
    [
      'put forward, what is every hour is every hour',
      '30 * * * *',
      'Europe/Berlin',
      '2026-03-29T00:00Z',
      ['2026-03-29T00:30', '2026-03-29T01:30'],
    ],
    // At 00:00 it becomes 01:00, which is 22:00 UTC.
    [
      'put forward at midnight, midnight is left out',
      '0 0 * * *',
      'Africa/Cairo',
      '2026-04-22T12:00Z',
      ['2026-04-22T22:00', '2026-04-24T21:00'],
    ],
    // At 03:00 it becomes 02:00, which is 01:00 UTC.
    [
      'put back, a time that comes twice is taken once',
      '30 2 * * *',
      'Europe/Berlin',
      '2026-10-24T12:00Z',
      ['2026-10-25T00:30', '2026-10-26T01:30'],
    ],
    [
      'put back, what is every hour is every hour',
      '30 * * * *',
      'Europe/Berlin',
      '2026-10-25T00:00Z',
      ['2026-10-25T00:30', '2026-10-25T01:30', '2026-10-25T02:30'],
    ],
  ] as const)('%s', ([, schedule, timezone, after, expected]) => {
    expect(minutes(nextRuns({ schedule, timezone }, new Date(after), expected.length))).toEqual(expected);
  });
});

test.for([
  ['0 3 * * *', '2026-05-05T03:00:00Z', '2026-05-05T03:00'],
  ['0 3 * * *', '2026-05-05T03:59:59Z', '2026-05-05T03:00'],
  ['0 3 * * *', '2026-05-05T04:00:01Z', undefined],
  ['0 3 * * *', '2026-05-05T02:59:59Z', undefined],
  ['*/10 * * * *', '2026-05-05T03:47:00Z', '2026-05-05T03:40'],
] as const)('the last run of %o in the hour before %s is %s', ([schedule, until, expected]) => {
  const run = lastRun({ schedule, timezone: 'UTC' }, new Date(until), 3_600_000);
  expect(run && minutes([run])[0]).toBe(expected);
});

describe('a cron job', () => {
  test('is in UTC and of the default branch, unless it says more', () => {
    expect(parseCronJob('nightly', { schedule: '0 3 * * *' })).toEqual({
      name: 'nightly',
      schedule: '0 3 * * *',
      timezone: 'UTC',
    });
    const more = { schedule: '0 3 * * *', timezone: 'Europe/Berlin', branch: 'refs/heads/release/1' };
    expect(parseCronJob('a.b-c_1', more)).toEqual({ name: 'a.b-c_1', ...more, branch: 'release/1' });
  });

  test.for(['', '.a', '-a', 'a/b', 'a:b', 'a b', 'ä', 'a'.repeat(101)])('is not called %o', (name) => {
    expect(fieldOf(() => parseCronJob(name, { schedule: '0 3 * * *' }))).toBe('name');
  });

  test.for(['--output=x', 'a..b', 'a\nb', 'refs/tags/v1 x', ''])('is not of the branch %o', (branch) => {
    expect(fieldOf(() => parseCronJob('nightly', { schedule: '0 3 * * *', branch }))).toBe('branch');
  });
});
