import { inParallel } from '../turns.ts';
import { ask, keepAlive, type Target } from './http.ts';
import { submissionOf } from './submissions.ts';

/** A process of its own: so many clients, each submitting one build after another. Prints the milliseconds it took. */
export interface SubmitTask extends Target {
  readonly count: number;
  readonly clients: number;
  readonly projects: number;
  readonly workflow: string;
}

const task: SubmitTask = JSON.parse(process.argv[2] ?? '');
const agent = keepAlive();
const bodies = Array.from({ length: task.projects }, (_, i) =>
  JSON.stringify(submissionOf(`project-${i}`, task.workflow)),
);
const began = performance.now();
await inParallel(new AbortController().signal, task.clients, task.count, async (i) => {
  await ask(task, agent, '/v1/builds', { body: bodies[i % bodies.length] ?? '' });
});
process.stdout.write(JSON.stringify(performance.now() - began));
agent.destroy();
