import type { Exit, Sandbox } from '../runtime/sandbox.ts';
import type { ServiceRecord } from '../src/build.ts';
import { labelOf } from '../src/logs/label.ts';
import type { Plan, PlanService } from '../src/workflow/plan.ts';
import { writtenDuration } from '../src/workflow/quantity.ts';
import { traces } from '../src/workflow/script.ts';
import type { Abort } from './abort.ts';
import { type CommandParts, serviceCommand } from './commands.ts';
import type { Containers } from './containers.ts';
import type { BuildEvents } from './events.ts';
import { besideGraceMs, type Job, startJob } from './job.ts';
import { createLastLines } from './log/last-lines.ts';
import type { BuildLog } from './log.ts';
import type { Mask } from './log/mask.ts';
import { becomeReady, type Started } from './readiness.ts';

/** What the services of a workflow need. */
export interface ServicesContext extends CommandParts {
  readonly plan: Plan;
  readonly sandbox: Sandbox;
  readonly containers: Containers;
  /** Keeps secrets out of the log. */
  readonly mask: Mask;
  readonly log: BuildLog;
  readonly events: BuildEvents;
  readonly abort: Abort;
}

/** The side containers of a workflow. */
export interface Services {
  /**
   * Starts them all, and resolves when each is ready or has failed; when steps cannot go on without it, the workflow is
   * stopped for it. Rejects when the platform failed.
   */
  start(): Promise<void>;
  /** The steps are through: ends them. Rejects when the platform failed under one of them. */
  stop(): Promise<void>;
  /** In the order of the plan. */
  readonly records: readonly ServiceRecord[];
  /** What is wrong with the first one without which the steps cannot go on. */
  readonly failure: string | undefined;
}

/** So much of the log of a service is shown when it fails. */
const shownLines = 50;

/** A service from its start on. */
interface Service extends Started {
  readonly plan: PlanService;
  readonly job: Job;
  /** What it wrote last. */
  readonly lastLines: () => Buffer;
  state: 'starting' | 'ready' | 'failed' | 'stopping';
  /** Its record says how it ended. Rejects when the platform failed. */
  readonly ended: Promise<void>;
}

export function createServices(context: ServicesContext): Services {
  const { plan, containers, events, abort, sandbox, log, mask } = context;
  const records = new Map<string, ServiceRecord>(
    plan.services.map(({ name }) => [name, { name, status: 'skipped' }]),
  );
  let services: readonly Service[] = [];
  let failure: string | undefined;

  const labelFor = ({ name }: PlanService) => labelOf({ workflow: plan.name, step: `service:${name}` });
  const note = ({ name }: PlanService, change: Partial<ServiceRecord>): ServiceRecord => {
    const record: ServiceRecord = { ...records.get(name), name, status: 'running', ...change };
    records.set(name, record);
    return record;
  };
  const tell = async (service: PlanService, change: Partial<ServiceRecord>): Promise<void> => {
    await events.service(note(service, change), plan.name);
  };

  /** Says what is wrong and what the service wrote last, and stops the workflow unless the service may fail. */
  const fail = async (service: Service, what: string): Promise<void> => {
    service.state = 'failed';
    const message = `service '${service.plan.name}' ${what}`;
    const fatal = service.plan.onFailure === 'fail';
    if (fatal) failure ??= message;
    const last = service.lastLines();
    const heading = `[cofferdam: ${message}${last.length > 0 ? '; its last lines:' : ''}]\n`;
    await log.write(labelFor(service.plan), Buffer.concat([Buffer.from(mask.text(heading)), last]));
    if (fatal && abort.reason === undefined) abort.request('service');
  };

  const end = async (service: Service, exit: Exit): Promise<void> => {
    const ended = { exitCode: exit.code, finishedAt: new Date().toISOString() };
    const { state } = service;
    if (state === 'stopping') {
      const { finishedAt } = ended;
      return await tell(service.plan, { status: 'passed', finishedAt });
    }
    if (state === 'failed') return await tell(service.plan, { ...records.get(service.plan.name), ...ended });
    if (abort.reason !== undefined) {
      return await tell(service.plan, { status: 'canceled', reason: 'canceled', ...ended });
    }
    const when = state === 'ready' ? 'while steps needed it' : 'before it was ready';
    await tell(service.plan, { status: 'failed', reason: exit.reason, ...ended });
    await fail(service, `${causes[exit.reason]} ${when} (exit code ${exit.code})`);
  };

  const launch = async (service: PlanService): Promise<Service> => {
    const box = containers.ofService(service);
    const { ref, digest } = box.image;
    await tell(service, { image: { ref, digest }, startedAt: new Date().toISOString() });
    const label = labelFor(service);
    const lines = createLastLines(shownLines);
    const listeners = new Set<(chunk: Buffer) => void>([lines.add]);
    const command = serviceCommand(service, box.image, plan, context);
    const output = mask.stream((chunk) => {
      for (const listener of listeners) listener(chunk);
      return log.write(label, chunk);
    });
    const job = startJob(box, command, output, abort);
    const running: Service = {
      plan: service,
      sandbox,
      box,
      command,
      job,
      lastLines: lines.text,
      traces: service.run.kind === 'commands' ? traces(service.run.commands) : [],
      listen: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      state: 'starting',
      ended: job.exit.then((exit) => end(running, exit)),
    };
    // Whoever stops them looks at it.
    running.ended.catch(() => {});
    return running;
  };

  /** Resolves also when it ended, or the workflow is stopped. */
  const getReady = async (service: Service): Promise<void> => {
    const { deadlineMs } = service.plan.ready;
    const over = new AbortController();
    const late = AbortSignal.timeout(deadlineMs);
    const signal = AbortSignal.any([over.signal, late, abort.stopping]);
    let said = '';
    try {
      await Promise.race([
        becomeReady(service.plan.ready, service, (text) => (said = text), signal),
        service.ended,
      ]);
      if (service.state === 'starting') service.state = 'ready';
    } catch (error) {
      if (service.state !== 'starting' || abort.reason !== undefined) return;
      if (!late.aborted) throw error;
      const detail = said === '' ? '' : ` (${said})`;
      const time = writtenDuration(deadlineMs);
      // It runs still: followers are told when it has ended.
      note(service.plan, { status: 'failed', reason: 'timeout' });
      await fail(service, `was not ready within ${time}${detail}`);
      service.job.stop(besideGraceMs);
    } finally {
      over.abort();
    }
  };

  return {
    start: async () => {
      services = await Promise.all(plan.services.map(launch));
      await Promise.all(services.map(getReady));
    },
    stop: async () => {
      for (const service of services) {
        if (service.state !== 'ready' || abort.reason !== undefined) continue;
        service.state = 'stopping';
        service.job.stop(besideGraceMs);
      }
      await Promise.all(services.map(({ ended }) => ended));
    },
    get records() {
      return [...records.values()];
    },
    get failure() {
      return failure;
    },
  };
}

const causes: Readonly<Record<Exit['reason'], string>> = {
  exit: 'ended',
  oom: 'ran out of memory',
  disk: 'filled its disk',
  pids: 'reached the limit of processes',
};
