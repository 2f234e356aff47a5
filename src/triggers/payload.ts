import { Ajv, type ErrorObject } from 'ajv';
import { type Static, type TSchema, Type } from 'typebox';
import { type Message, PayloadError } from './forge.ts';
import { headerOf } from './signature.ts';

/** What a forge may leave out, or say null for. */
export const Maybe = <Schema extends TSchema>(schema: Schema) =>
  Type.Optional(Type.Union([schema, Type.Null()]));

const fullId = '^([0-9a-f]{40}|[0-9a-f]{64})$';

/** The full id of a commit, SHA-1 or SHA-256. */
export const Sha = Type.String({ pattern: fullId });

/** What is the full id of a commit, of what may be a part of one. */
export function fullSha(text: string | null | undefined): string | undefined {
  return text !== null && text !== undefined && new RegExp(fullId).test(text) ? text : undefined;
}

/** The JSON of a message; GitHub may have been told to send it as the field `payload` of a form. Throws PayloadError. */
export function jsonOf({ headers, body }: Message): unknown {
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(headerOf(headers, 'content-type') ?? '');
  const text = body.toString('utf8');
  const json = isForm ? new URLSearchParams(text).get('payload') : text;
  try {
    const value: unknown = JSON.parse(json ?? '');
    return value;
  } catch (cause) {
    throw new PayloadError('the body is no JSON; let the forge send application/json', { cause });
  }
}

const ajv = new Ajv({ strict: false });

/** Reads payloads of one form; what is not in the schema may be anything. The reader throws PayloadError. */
export function readerOf<Schema extends TSchema>(schema: Schema): (payload: unknown) => Static<Schema> {
  const check = ajv.compile<Static<Schema>>(schema);
  return (payload) => {
    if (check(payload)) return payload;
    throw new PayloadError(complaint(check.errors?.[0]));
  };
}

function complaint(error: ErrorObject | undefined): string {
  if (!error) return 'the payload does not have the form of its event';
  const { instancePath, keyword, params, message }: ErrorObject<string, Record<string, unknown>> = error;
  const missing = keyword === 'required' ? `/${String(params['missingProperty'])}` : '';
  const field = `${instancePath}${missing}`.slice(1).replaceAll('/', '.');
  return `${field === '' ? 'the payload' : field} ${missing === '' ? (message ?? keyword) : 'is missing'}`;
}

type Stated<Fields> = { readonly [Name in keyof Fields]?: NonNullable<Fields[Name]> };

/** Without what was left out or null. */
export function stated<Fields extends object>(fields: Fields): Stated<Fields> {
  const present = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- exactly what was filtered
  return Object.fromEntries(present) as Stated<Fields>;
}

/** An instant as ISO 8601 in UTC; undefined: it is none. */
export function instantOf(time: string | number | null | undefined): string | undefined {
  if (time === null || time === undefined) return undefined;
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
