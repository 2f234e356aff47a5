import { PassThrough, type Readable } from 'node:stream';

/** Takes output as it comes; a returned promise is to be waited for. */
type Take = (chunk: Buffer) => Promise<void> | undefined;

/**
 * Lets `read` read what `print` hands over. The stream comes to its end only when `print` has succeeded; its error comes
 * first when both fail. Once `read` gives up, the rest is thrown away.
 */
export async function piped<T>(
  print: (take: Take) => Promise<unknown>,
  read: (stream: Readable) => Promise<T>,
): Promise<T> {
  const stream = new PassThrough();
  // Who reads it reports errors.
  stream.on('error', () => {});
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  const printing = print((chunk) => {
    if (stream.destroyed || stream.write(chunk)) return undefined;
    return Promise.race([closed, new Promise<void>((resolve) => stream.once('drain', resolve))]);
  });
  printing.then(
    () => stream.end(),
    (error: Error) => stream.destroy(error),
  );
  const [printed, result] = await Promise.allSettled([printing, read(stream)]);
  if (printed.status === 'rejected') throw printed.reason;
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}
