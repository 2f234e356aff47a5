import { RefusedError } from './problem.ts';

/** The JSON in a response; the service is trusted to send what it documents. Throws RefusedError when it is none. */
export async function json<T>(call: Promise<Response>): Promise<T> {
  const response = await call;
  if (/^application\/json\b/.test(response.headers.get('content-type') ?? '')) {
    const value: T = JSON.parse(await response.text());
    return value;
  }
  await response.body?.cancel();
  throw new RefusedError(
    response.status,
    `${response.url} does not answer as Cofferdam does; check COFFERDAM_URL`,
  );
}

/** What comes is read as it comes. */
export async function body(call: Promise<Response>): Promise<AsyncIterable<Uint8Array>> {
  return (await call).body ?? new ReadableStream<Uint8Array>({ start: (to) => to.close() });
}

/** Nothing is expected to come. */
export async function finished(call: Promise<Response>): Promise<void> {
  await (await call).body?.cancel();
}
