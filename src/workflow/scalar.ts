import { CORE_SCHEMA } from 'js-yaml';

/** What a plain scalar is in YAML 1.2 (core schema): nothing, a boolean, a number, or else text. */
export function typedScalar(source: string): unknown {
  const first = source.charCodeAt(0);
  // Most scalars begin with a letter that no number, boolean or null does.
  if (first > 0x7e || (first > 0x3a && !'nNtTfF~'.includes(source.charAt(0)))) return source;
  return CORE_SCHEMA.resolveImplicitScalarTag(source).value;
}

const kinds: Readonly<Record<string, (value: unknown) => boolean>> = {
  '!!null': (value) => value === null,
  '!!bool': (value) => typeof value === 'boolean',
  '!!int': (value) => Number.isInteger(value),
  '!!float': (value) => typeof value === 'number',
};

/** What a scalar with a tag is; undefined: the tag is not known, or says what the scalar is not. */
export function taggedScalar(source: string, tag: string): unknown {
  if (tag === '!' || tag === '!!str') return source;
  const value = typedScalar(source);
  return kinds[tag]?.(value) ? value : undefined;
}
