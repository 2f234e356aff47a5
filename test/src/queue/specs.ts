import { monotonicFactory } from 'ulid';
import type { BuildSpec } from '../../../src/spec.ts';

const nextId = monotonicFactory();

/** A build that asks for nothing in particular; ids are in the order of calls. */
export function makeSpec(wanted: Partial<BuildSpec> = {}): BuildSpec {
  return {
    id: nextId(),
    project: 'library',
    source: { kind: 'none' },
    workflow: 'steps: [{ name: test, image: "bootstrap:bookworm", commands: [make test] }]',
    environment: {},
    priority: 5,
    labels: {},
    trigger: { kind: 'manual' },
    trust: 'trusted',
    requestedBy: '01M0000000000000000000TOKE',
    ...wanted,
  };
}
