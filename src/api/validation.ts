import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { FastifySchemaCompiler } from 'fastify';
import { type Static, type TSchema, Type } from 'typebox';

/** One thing that is wrong with a request, and where. */
export const ProblemPlace = Type.Object(
  {
    pointer: Type.Optional(
      Type.String({
        description: 'JSON Pointer into the body, as a URI fragment.',
        examples: ['#/priority'],
      }),
    ),
    parameter: Type.Optional(Type.String({ description: 'Name of the query parameter.' })),
    header: Type.Optional(Type.String({ description: 'Name of the request header.' })),
    detail: Type.String(),
  },
  { $id: 'ProblemPlace' },
);
export type ProblemPlace = Static<typeof ProblemPlace>;

const formats: Record<string, true | ((text: string) => boolean)> = {
  binary: true,
  'date-time': (text) =>
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(text) &&
    !Number.isNaN(Date.parse(text)),
};

/** JSON has types of its own: "5" is no number there. */
const strict = new Ajv({ allErrors: true, strict: false, formats, discriminator: true });
/** Text of a URL or header becomes what the schema asks for. */
const coercing = new Ajv({
  allErrors: true,
  strict: false,
  formats,
  coerceTypes: 'array',
  useDefaults: true,
});

/** Validates requests for fastify: bodies as they are; queries, parameters and headers with their types made. */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) =>
  httpPart === 'body' ? (isStream(schema) ? () => true : bodyValidator(schema)) : coercing.compile(schema);

/** What is not parsed, only described. */
const isStream = (schema: TSchema) => 'format' in schema && schema.format === 'binary';

/** Makes a schema known by its `$id` to the validators of bodies that refer to it. */
export function defineSchema(schema: TSchema & { readonly $id?: string }): void {
  if (schema.$id !== undefined && !strict.getSchema(schema.$id)) strict.addSchema(schema);
}

/** A validator of JSON values; shared by bodies and what is made of a query. */
export function bodyValidator<Schema extends TSchema>(schema: Schema): ValidateFunction<Static<Schema>> {
  return strict.compile<Static<Schema>>(schema);
}

type Fault = Pick<ErrorObject, 'instancePath' | 'keyword' | 'params'> & { message?: string };

/** Errors of one request that are told. */
const mostPlaces = 20;

/** What validation errors say, and where, in a part of the request: `body`, `querystring`, `headers`, `params`. */
export function placesOf(errors: readonly Fault[], part: string): ProblemPlace[] {
  // Why a name is not allowed comes apart from the error that has the name.
  const telling = errors.filter((error) => !('propertyName' in error));
  return telling.slice(0, mostPlaces).map((error) => placeOf(error, part));
}

function placeOf({ instancePath, keyword, params, message }: Fault, part: string): ProblemPlace {
  const { missingProperty, additionalProperty, allowedValues, allowedValue }: Record<string, unknown> =
    params;
  const inner = [missingProperty, additionalProperty].find((name) => typeof name === 'string');
  const path = inner === undefined ? instancePath : `${instancePath}/${escapePointer(inner)}`;
  const detail = (() => {
    if (keyword === 'required') return 'is missing';
    if (keyword === 'propertyNames')
      return `has the name '${String(params['propertyName'])}', which is not allowed`;
    if (keyword === 'discriminator') return 'is none of those it may be';
    if (keyword === 'additionalProperties') return 'is not known';
    if (Array.isArray(allowedValues)) return `must be one of ${allowedValues.join(', ')}`;
    if (allowedValue !== undefined) return `must be ${JSON.stringify(allowedValue)}`;
    return message ?? keyword;
  })();
  if (part === 'querystring' || part === 'params') return { parameter: topName(path), detail };
  if (part === 'headers') return { header: topName(path), detail };
  return { pointer: `#${encodeURI(path)}`, detail };
}

const escapePointer = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1');
const topName = (path: string) => path.split('/')[1] ?? '';
