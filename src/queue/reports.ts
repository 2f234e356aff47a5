import { randomBytes } from 'node:crypto';
import type { Status } from '../build.ts';
import { parseStatus } from '../records/stored.ts';
import type { Call } from './scripts.ts';

/** A commit whose forge is to be told how its build fares, for as long as the lease lasts. */
export interface Report {
  /** Names the commit and the context. */
  readonly commit: string;
  /** The build that speaks for it. */
  readonly build: string;
  /** The furthest state that the build was in when this was taken: no other one is to be told. */
  readonly state: string;
  /** What the forge accepted of this build; undefined: nothing yet. */
  readonly accepted: Status | undefined;
  /** How often the forge did not take the present state, and how often it denied it. */
  readonly failed: number;
  readonly denied: number;
  readonly version: number;
  readonly lease: string;
}

/** What came of a report. `afterMs`: when to try again. */
export type Settled =
  /** `confirmMs`: after which a verdict is told once more, when an earlier request got no answer. */
  | { readonly kind: 'told'; readonly status: Status; readonly confirmMs: number }
  /** There was nothing (more) to tell. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'failed' | 'silent' | 'denied'; readonly afterMs: number }
  /** It was not tried: the forge is left alone for a while. */
  | { readonly kind: 'resting'; readonly afterMs: number }
  /** Given up; the record of the build says why. */
  | { readonly kind: 'refused'; readonly why: string };

/** What forges are to be told; kept in Redis until they have been, by one process at a time for each commit. */
export interface Reports {
  /** What is due now, at most `most`. What is not settled within `leaseMs` is due again. */
  take(most: number, leaseMs: number): Promise<Report[]>;
  /** @param ended whether no state can follow; false returned: the lease was lost, and nothing was noted */
  settle(report: Report, settled: Settled, ended: boolean): Promise<boolean>;
}

export function createReports(call: Call): Reports {
  return {
    take: async (most, leaseMs) => {
      const lease = randomBytes(9).toString('base64url');
      const taken = await call('takeReports', most, leaseMs, lease);
      return taken.map(([commit, version, build, last, failed, denied, state]) => {
        const [by, status = ''] = last.split(' ');
        return {
          commit,
          build,
          state,
          accepted: by === build ? parseStatus(status) : undefined,
          failed,
          denied,
          version,
          lease,
        };
      });
    },
    settle: async ({ commit, lease, version, build }, settled, ended) => {
      const args = [commit, lease, version, build, settled.kind, detailOf(settled), ended ? 'ended' : ''];
      return (await call('settleReport', ...args)) === 1;
    },
  };
}

function detailOf(settled: Settled): string | number {
  if (settled.kind === 'told') return `${settled.status} ${settled.confirmMs}`;
  if (settled.kind === 'nothing') return '';
  return settled.kind === 'refused' ? settled.why : Math.ceil(settled.afterMs);
}
