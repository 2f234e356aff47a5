import { type Static, type TSchema, Type } from 'typebox';

/**
 * A reference to a schema by its `$id`: in the OpenAPI document it is that component, to TypeScript it is the thing.
 * @param description of a response
 */
export function named<Schema extends TSchema>(schema: Schema, description?: string) {
  const { $id } = schema as { $id?: string };
  if ($id === undefined) throw new TypeError('a schema without $id has no name');
  return Type.Unsafe<Static<Schema>>({ $ref: `${$id}#`, ...(description !== undefined && { description }) });
}
