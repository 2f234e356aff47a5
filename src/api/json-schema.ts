/** Pieces of JSON Schema, written out, for what has several forms that differ only in what must be there. */

type Properties = Readonly<Record<string, object>>;

export const object = (properties: Properties, more: object = {}) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...more,
});

/** All of its properties are there. */
export const whole = (properties: Properties, description?: string) =>
  object(properties, {
    required: Object.keys(properties),
    ...(description !== undefined && { description }),
  });

/** Not a union with null: what is wrong with a value is then told once. */
export const orNull = <Schema extends { readonly type: string }>(schema: Schema) => ({
  ...schema,
  type: [schema.type, 'null'],
});

export const oneOf = (values: readonly string[], description: string) => ({
  type: 'string',
  enum: values,
  description,
});
export const listOf = (values: readonly string[], description: string) => ({
  type: 'array',
  items: { type: 'string', enum: values },
  uniqueItems: true,
  description,
});
export const integer = (minimum: number, maximum: number, description: string) => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});
