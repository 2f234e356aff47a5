import type { ArtifactRecord, StepRecord } from '../src/build.ts';
import type { LogReader } from './log.ts';

/** What happens while a build runs, for whoever shows it. */
export interface BuildEvents extends LogReader {
  /** Something slow goes on: an image is fetched, a build is being stopped. */
  progress(message: string): void;
  warning(message: string): void;
  step(step: StepRecord): void | Promise<void>;
  artifact(artifact: ArtifactRecord): void;
}
