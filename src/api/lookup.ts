/**
 * Lets all who ask for the same key at about the same time share one look-up. An answer is never older than the question:
 * whoever asks while a look-up is under way gets the next one, which waits for that.
 */
export function shareLookups<Result>(
  lookUp: (key: string) => Promise<Result>,
): (key: string) => Promise<Result> {
  const running = new Map<string, Promise<Result>>();
  const next = new Map<string, Promise<Result>>();

  const begin = (key: string): Promise<Result> => {
    const result = lookUp(key).finally(() => {
      if (running.get(key) === result) running.delete(key);
    });
    running.set(key, result);
    return result;
  };

  return (key) => {
    const before = running.get(key);
    if (!before) return begin(key);
    const known = next.get(key);
    if (known) return known;
    const follow = () => {
      next.delete(key);
      return begin(key);
    };
    const result = before.then(follow, follow);
    next.set(key, result);
    return result;
  };
}
