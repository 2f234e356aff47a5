import { Type } from 'typebox';
import { Build, ServiceRecord, Status, StepRecord } from './record.ts';
import { named } from './schema.ts';

const count = Type.Integer({ minimum: 0 });

const LogEvent = Type.Object(
  {
    type: Type.Literal('log'),
    attempt: Type.Integer({ minimum: 1, description: 'Each attempt has a log of its own.' }),
    offset: Type.Integer({ minimum: 0, description: "Bytes of the attempt's log before it." }),
    workflow: Type.Optional(Type.String({ description: 'Absent of what belongs to none.' })),
    step: Type.String({ description: 'Of services: `service:NAME`.' }),
    text: Type.Optional(Type.String({ description: 'When the bytes are UTF-8.' })),
    base64: Type.Optional(Type.String({ description: 'When they are not.' })),
    cutBytes: Type.Optional(count),
  },
  { $id: 'LogEvent', description: '`cutBytes`: so many that the build wrote before are missing.' },
);

const StatusEvent = Type.Object(
  {
    type: Type.Literal('status'),
    status: named(Status),
    attempt: count,
    reason: Type.Optional(Type.String()),
  },
  { $id: 'StatusEvent' },
);

const StepEvent = Type.Intersect(
  [Type.Object({ type: Type.Literal('step'), workflow: Type.String() }), named(StepRecord)],
  { $id: 'StepEvent' },
);

const ServiceEvent = Type.Intersect(
  [Type.Object({ type: Type.Literal('service'), workflow: Type.String() }), named(ServiceRecord)],
  { $id: 'ServiceEvent' },
);

const GapEvent = Type.Object(
  { type: Type.Literal('gap'), detail: Type.String() },
  { $id: 'GapEvent', description: 'The rest of the log is lost.' },
);

const EndEvent = Type.Object({ type: Type.Literal('end'), record: named(Build) }, { $id: 'EndEvent' });

/** What happens to a build: one line of NDJSON; in a text/event-stream `type` is the name of the event. */
export const BuildEvent = Type.Union(
  [
    named(LogEvent),
    named(StatusEvent),
    named(StepEvent),
    named(ServiceEvent),
    named(GapEvent),
    named(EndEvent),
  ],
  { $id: 'BuildEvent', description: 'What happens to a build. `end` comes last.' },
);

export const eventSchemas = [LogEvent, StatusEvent, StepEvent, ServiceEvent, GapEvent, EndEvent, BuildEvent];
