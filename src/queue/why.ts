import { parseOwn } from '../records/json.ts';
import { type Blocker, inWords } from './turn.ts';

/** What the script `explain` says of a build. */
export interface Fact {
  readonly id?: string;
  readonly at:
    | 'unknown'
    | 'held'
    | 'delayed'
    | 'waiting'
    | 'ready'
    | 'running'
    | 'ended'
    | 'archived'
    | 'cut';
  readonly failures?: number;
  readonly due?: number;
  /** A delayed one: for whose turn. */
  readonly waits?: Blocker;
  /** JSON, or '' for none. */
  readonly labels?: string;
  readonly project?: string;
  readonly group?: string;
  /** Id of a worker that it is kept away from. */
  readonly avoids?: string;
  readonly workers?: number;
  readonly slots?: number;
  readonly free?: number;
  /** Builds of its project that may run; 0: any number. */
  readonly cap?: number;
  readonly inProject?: number;
  /** From 1; 0: its group keeps it out of the line. */
  readonly position?: number;
  readonly waiting?: number;
  readonly inGroup?: number;
  readonly groupPosition?: number;
}

/** Why a build does not run, in one sentence; undefined when it does, or will not any more. */
export function whyWaiting(fact: Fact, groupCap: number): string | undefined {
  if (fact.at === 'held') return `It waits for approval: cofferdam approve ${fact.id}`;
  if (fact.at === 'delayed') return delayed(fact);
  if (fact.at === 'ready') return 'It is being handed to a worker.';
  return fact.at === 'waiting' ? waiting(fact, groupCap) : undefined;
}

function delayed({ due = 0, failures = 0, waits }: Fact): string {
  if (waits) return `It waits for ${inWords(waits)}.`;
  const until = new Date(due).toISOString();
  if (failures === 0) return `It is not to start before ${until}.`;
  return `The platform failed it ${failures === 1 ? 'once' : `${failures} times`}; it is tried again at ${until}.`;
}

function waiting(fact: Fact, groupCap: number): string {
  const {
    workers = 0,
    slots = 0,
    free = 0,
    position = 0,
    cap = 0,
    inProject = 0,
    inGroup = 0,
    groupPosition = 0,
  } = fact;
  const others = fact.avoids ? ` other than ${fact.avoids}, where it failed before,` : '';
  const labels = fact.labels ? Object.entries(parseOwn<Record<string, string>>(fact.labels)) : [];
  const wanted = labels.map(([name, value]) => `${name}=${value}`).join(', ');
  if (workers === 0) {
    return wanted ? `No worker with the labels ${wanted} is there.` : 'No worker is there.';
  }
  if (slots === 0) return `${sized(workers, 'worker')}${wanted && ` with ${wanted}`} take no builds now.`;
  if (cap > 0 && inProject >= cap) {
    return `Its project ${fact.project} runs ${inProject} of at most ${sized(cap, 'build')} at a time.`;
  }
  if (fact.group && inGroup >= groupCap) {
    return `Its group ${fact.group} runs ${inGroup} of at most ${sized(groupCap, 'build')} at a time.`;
  }
  if (fact.group && groupPosition > 1) return `It is number ${groupPosition} of its group ${fact.group}.`;
  const place = `It is number ${position} of ${fact.waiting} in its project`;
  if (free > 0) return `${place}; a slot is free and is being given out.`;
  return `${place}; all ${sized(slots, 'slot')} of ${sized(workers, 'worker')}${others} ${slots === 1 ? 'is' : 'are'} busy.`;
}

function sized(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
