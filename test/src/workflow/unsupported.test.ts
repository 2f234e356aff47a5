import { describe, expect, test } from 'vitest';
import { problemsOf } from './problems.ts';

describe('what is known but cannot be run yet is said to be not supported, at its place', () => {
  const words = (text: string) => text.trim().split(/\s+/);

  test.each(
    words(
      'services matrix depends_on caches labels clone skip_clone workspace variables when runs_on concurrency',
    ),
  )('%s: of a workflow', (key) => {
    expect(problemsOf(`image: a\nsteps: [{commands: x}]\n${key}: [{a: 1}]\n`)).toEqual([
      `3:1: not supported yet: ${key}`,
    ]);
  });

  test.each(
    words(`settings entrypoint detach volumes privileged pull directory depends_on backend_options dns
      timeout resources artifacts caches network retry services matrix`),
  )('%s: of a step', (key) => {
    expect(problemsOf(`image: a\nsteps:\n  - name: x\n    ${key}: 1\n`)).toEqual([
      `4:5: not supported yet: ${key}`,
    ]);
  });

  test.each(words('branch cron evaluate event instance matrix path platform ref repo'))('when %s', (key) => {
    expect(problemsOf(`image: a\nsteps:\n  - commands: x\n    when:\n      - ${key}: a\n`)).toEqual([
      `5:9: not supported yet: ${key}`,
    ]);
  });

  test.each([
    ['network: egress', '3:10: not supported yet: network: egress'],
    ['network: {allow: [a.example]}', '3:10: not supported yet: network: allow'],
  ])('%s', (line, problem) => {
    expect(problemsOf(`image: a\nsteps: [{commands: x}]\n${line}\n`)).toEqual([problem]);
  });
});
