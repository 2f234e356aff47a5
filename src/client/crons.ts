import type { ShownCron } from '../api/cron-job.ts';
import type { BuildRecord } from '../build.ts';
import type { CronJobRequest } from '../crons/job.ts';
import { finished, json } from './answer.ts';
import type { Http } from './http.ts';
import { encodePath } from './repositories.ts';

/** `/v1/crons`. Every call throws what the client's calls throw. */
export interface CronCalls {
  /** Of one repository, or all. */
  list(repository?: string): Promise<readonly ShownCron[]>;
  /** Adds it, or replaces the one of that name. */
  put(repository: string, name: string, job: CronJobRequest): Promise<ShownCron>;
  remove(repository: string, name: string): Promise<void>;
  /** The new build. */
  run(repository: string, name: string): Promise<BuildRecord>;
}

export function cronCalls(http: Http): CronCalls {
  const path = (repository: string, name: string) =>
    `/v1/crons/${encodePath(repository)}/${encodeURIComponent(name)}`;
  return {
    list: async (repository) => {
      const call = http({ method: 'GET', path: '/v1/crons', query: { repository } });
      return (await json<{ crons: ShownCron[] }>(call)).crons;
    },
    put: (repository, name, job) =>
      json(http({ method: 'PUT', path: path(repository, name), body: JSON.stringify(job) })),
    remove: (repository, name) => finished(http({ method: 'DELETE', path: path(repository, name) })),
    run: (repository, name) => json(http({ method: 'POST', path: `${path(repository, name)}/run` })),
  };
}
