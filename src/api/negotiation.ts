/**
 * The media type of `offered` that an Accept header (RFC 9110, 12.5.1) likes best; the first of equals; the first when
 * there is no header. Undefined: none of them.
 */
export function negotiate<Type extends string>(
  accept: string | undefined,
  offered: readonly Type[],
): Type | undefined {
  const wishes = (accept ?? '*/*').split(',').map((each) => {
    const [range = '', ...parameters] = each.split(';').map((part) => part.trim().toLowerCase());
    const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return { range, quality: quality === undefined ? 1 : Number(quality) || 0 };
  });
  // The most specific range that matches decides.
  const quality = (type: Type) =>
    [type, `${type.split('/')[0]}/*`, '*/*']
      .map((range) => wishes.find((wish) => wish.range === range)?.quality)
      .find((found) => found !== undefined) ?? 0;
  let best: Type | undefined;
  for (const type of offered) if (quality(type) > (best === undefined ? 0 : quality(best))) best = type;
  return best;
}
