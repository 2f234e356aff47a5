import type { ArtifactRecord, ServiceRecord, StepRecord, WorkflowRecord } from '../src/build.ts';
import type { LogReader } from './log.ts';

/** What happens while a build runs, for whoever shows it. */
export interface BuildEvents extends LogReader {
  /** Something slow goes on: an image is fetched, a build is being stopped. */
  progress(message: string): void;
  warning(message: string): void;
  /** It waits for its turn or for room, or begins, with all that is in it, or it has ended. */
  workflow(workflow: WorkflowRecord): void | Promise<void>;
  step(step: StepRecord, workflow: string): void | Promise<void>;
  service(service: ServiceRecord, workflow: string): void | Promise<void>;
  artifact(artifact: ArtifactRecord): void;
}
