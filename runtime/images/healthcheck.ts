import { Type } from 'typebox';
import type { ImageConfig } from './image.ts';

/** As Docker's images have it; the specification of OCI does not know it, and leaves room for it. */
export const Healthcheck = Type.Object({
  Test: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
  /** Nanoseconds; 0: the default. */
  Timeout: Type.Optional(Type.Number({ minimum: 0 })),
});

/** Docker's own. */
const defaultTimeoutMs = 30_000;

/** How a HEALTHCHECK is run; undefined for none. `shell` is the image's SHELL, for those written as text. */
export function parseHealthcheck(
  { Test, Timeout = 0 }: Type.Static<typeof Healthcheck>,
  shell: readonly string[],
): ImageConfig['healthcheck'] {
  const [kind, ...words] = Test ?? [];
  const [program, ...args] = kind === 'CMD-SHELL' ? [...shell, ...words] : kind === 'CMD' ? words : [];
  if (program === undefined) return undefined;
  return { args: [program, ...args], timeoutMs: Math.ceil(Timeout / 1e6) || defaultTimeoutMs };
}
