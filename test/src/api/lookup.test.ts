import { describe, expect, test } from 'vitest';
import { shareLookups } from '../../../src/api/lookup.ts';

/** Look-ups that end when they are told to. */
function lookups() {
  const begun: { readonly key: string; readonly end: PromiseWithResolvers<string> }[] = [];
  const share = shareLookups((key) => {
    const end = Promise.withResolvers<string>();
    begun.push({ key, end });
    return end.promise;
  });
  return { begun, share };
}

describe('look-ups of one key', () => {
  test('that are asked for while one is under way are one, begun after it', async () => {
    const { begun, share } = lookups();
    const first = share('a');
    const others = Promise.all([share('a'), share('a'), share('a')]);
    expect(begun.length).toBe(1);
    begun[0]?.end.resolve('before');
    expect(await first).toBe('before');
    expect(begun.length).toBe(2);
    const later = share('a');
    begun[1]?.end.resolve('after');
    expect(await others).toEqual(['after', 'after', 'after']);
    begun[2]?.end.resolve('last');
    expect(await later).toBe('last');
    expect(begun.map(({ key }) => key)).toEqual(['a', 'a', 'a']);
  });

  test('do not wait for those of another key', () => {
    const { begun, share } = lookups();
    for (const key of ['a', 'b']) void share(key);
    expect(begun.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  test('go on after one that failed, and each is told of its own failure', async () => {
    const { begun, share } = lookups();
    const [first, second] = [share('a'), share('a')];
    begun[0]?.end.reject(new Error('away'));
    await expect(first).rejects.toThrow('away');
    begun[1]?.end.resolve('there');
    expect(await second).toBe('there');
    void share('a');
    expect(begun.length).toBe(3);
  });

  test('are forgotten when they have ended', async () => {
    const { begun, share } = lookups();
    for (const value of ['first', 'second']) {
      const result = share('a');
      begun.at(-1)?.end.resolve(value);
      expect(await result).toBe(value);
    }
    expect(begun.length).toBe(2);
  });
});
