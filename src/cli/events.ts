import type { ArtifactRecord, BuildRecord, ServiceRecord, StepRecord, WorkflowRecord } from '../build.ts';
import { labelOf, originOf } from '../logs/label.ts';
import type { Output } from './output.ts';

/**
 * Shows a build to a program: NDJSON on stdout, one event a line: `workflow`, `step`, `service`, `log`, `log-cut`,
 * `artifact`, `warning`, and last `end` with the record. Log data is text as it came; what is not UTF-8 comes as `base64` instead of `data`.
 */
export function createEvents(output: Output) {
  const partial = new Map<string, Buffer>();
  const send = (event: object) => output.out(`${JSON.stringify(event)}\n`);
  const sendLog = (label: string, bytes: Buffer) => {
    const data = decode(bytes);
    return send({
      type: 'log',
      ...originOf(label),
      ...(data === undefined ? { base64: bytes.toString('base64') } : { data }),
    });
  };
  const flush = async (label: string) => {
    const rest = partial.get(label);
    partial.delete(label);
    if (rest) await sendLog(label, rest);
  };
  const flushAll = async () => {
    for (const label of partial.keys()) await flush(label);
  };

  return {
    progress: (message: string) => void output.err(`${message}\n`),
    warning: (message: string) => void send({ type: 'warning', message }),
    /** Of a workflow only what is its own: what is in it has events of its own. */
    workflow: async ({ steps: _steps, services: _services, ...workflow }: WorkflowRecord) => {
      await send({ type: 'workflow', ...workflow });
    },
    step: async (step: StepRecord, workflow: string) => {
      if (step.status !== 'running') await flush(labelOf({ workflow, step: step.name }));
      await send({ type: 'step', workflow, ...step });
    },
    service: async (service: ServiceRecord, workflow: string) => {
      if (service.status !== 'running') await flush(labelOf({ workflow, step: `service:${service.name}` }));
      await send({ type: 'service', workflow, ...service });
    },
    chunk: async (label: string, chunk: Buffer) => {
      const bytes = Buffer.concat([partial.get(label) ?? Buffer.alloc(0), chunk]);
      const whole = bytes.length - incompleteTail(bytes);
      if (whole < bytes.length) partial.set(label, bytes.subarray(whole));
      else partial.delete(label);
      if (whole > 0) await sendLog(label, bytes.subarray(0, whole));
    },
    cutBegins: () => {},
    cutEnds: async (cutBytes: number) => {
      await flushAll();
      await send({ type: 'log-cut', bytes: cutBytes });
    },
    logEnds: flushAll,
    artifact: (artifact: ArtifactRecord) => void send({ type: 'artifact', ...artifact }),
    end: async (record: BuildRecord) => {
      await flushAll();
      await send({ type: 'end', record });
    },
  };
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** How many bytes at the end begin a UTF-8 sequence that the next chunk may complete (RFC 3629). */
function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
