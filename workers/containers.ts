import type { Image } from '../runtime/images/image.ts';
import type { Container, Sandbox } from '../runtime/sandbox.ts';
import type { Plan, PlanService, PlanStep } from '../src/workflow/plan.ts';
import type { Abort } from './abort.ts';

/** A container in which something runs, and what it was made of. */
export interface Box {
  readonly container: Container;
  readonly image: Image;
  /** `shared`: other steps run in it too, side by side or later. */
  readonly use: 'own' | 'shared';
}

/** The containers of a workflow, each started when it is first needed. */
export interface Containers {
  /** One for all steps without an image of their own; a fresh one for each other. */
  ofStep(step: PlanStep): Box;
  ofService(service: PlanService): Box;
  /** All that were started, whatever still runs in them. */
  kill(): void;
}

/**
 * When the workflow is stopped, all that runs in any of them gets SIGTERM, and SIGKILL when the time is over.
 * @param images by reference; every image that the plan names
 */
export function createContainers(
  plan: Plan,
  sandbox: Sandbox,
  images: ReadonlyMap<string, Image>,
  abort: Abort,
): Containers {
  const hosts = Object.fromEntries(plan.services.map(({ name }) => [name, '127.0.0.1']));
  const started: Container[] = [];
  let shared: Box | undefined;

  const terminate = () => {
    for (const container of started) container.signal('SIGTERM');
  };
  const kill = () => {
    for (const container of started) container.kill();
  };
  abort.stopping.addEventListener('abort', terminate);
  abort.killed.addEventListener('abort', kill);

  const start = (kind: string, ref: string | undefined, use: Box['use']): Box => {
    const image = images.get(ref ?? '');
    if (!image) throw new TypeError(`no image ${ref} among those of the plan`);
    const name = use === 'shared' ? kind : `${kind}-${started.length + 1}`;
    const container = sandbox.start({ name, root: image.root, hosts });
    started.push(container);
    return { container, image, use };
  };
  return {
    ofStep: ({ container }) =>
      container.kind === 'own'
        ? start('step', container.image, 'own')
        : (shared ??= start('shared', plan.image, 'shared')),
    ofService: ({ image }) => start('service', image, 'own'),
    kill: () => {
      abort.stopping.removeEventListener('abort', terminate);
      abort.killed.removeEventListener('abort', kill);
      kill();
    },
  };
}
