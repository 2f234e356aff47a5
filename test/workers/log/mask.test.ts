import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createMask, type Mask } from '../../../workers/log/mask.ts';
import { maskedForms } from '../../../workers/log/masked-forms.ts';
import { mark, plainly } from './plain-mask.ts';
import { randomFrom } from '../../random.ts';

/** What a mask makes of chunks, as bytes in latin1. */
function through(mask: Mask, chunks: readonly Buffer[]): string {
  const parts: Buffer[] = [];
  const { write, end } = mask.stream((part) => void parts.push(part));
  for (const chunk of chunks) void write(chunk);
  void end();
  return Buffer.concat(parts).toString('latin1');
}

function split(text: Buffer, random: (below: number) => number, most: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < text.length; ) {
    const length = random(most) + 1;
    chunks.push(text.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

describe('what of a secret is masked', () => {
  const secret = 'p&ss wörd/<"\'?>+~x';
  const table: readonly (readonly [string, string])[] = [
    ['itself', secret],
    ['JSON', JSON.stringify({ secret }).slice(11, -2)],
    ['JSON as Go writes it', String.raw`p\u0026ss wörd/\u003c\"'?\u003e+~x`],
    ['JSON as Python writes it', String.raw`p&ss w\u00f6rd/<\"'?>+~x`],
    ['JSON as PHP writes it', String.raw`p&ss wörd\/<\"'?>+~x`],
    ['sh -x', `p&ss wörd/<"'\\''?>+~x`],
    ['hex', Buffer.from(secret).toString('hex')],
    ['hex, upper case', Buffer.from(secret).toString('hex').toUpperCase()],
    ['encodeURIComponent()', encodeURIComponent(secret)],
    ['percent-encoded, lower case', encodeURIComponent(secret).replace(/%../g, (code) => code.toLowerCase())],
    ['a form', new URLSearchParams([['', secret]]).toString().slice(1)],
    ["Python's quote()", `p%26ss%20w%C3%B6rd/%3C%22%27%3F%3E%2B~x`],
    ['RFC 3986', `p%26ss%20w%C3%B6rd%2F%3C%22%27%3F%3E%2B~x`],
    ['base64', Buffer.from(secret).toString('base64')],
    ['base64 for URLs', Buffer.from(secret).toString('base64url')],
    ['base64 of echo', Buffer.from(`${secret}\n`).toString('base64').slice(0, -2)],
  ];
  test.each(table)('%s', (_, form) => {
    expect(createMask([secret]).text(`before ${form} after`)).toBe(`before ${mark} after`);
  });

  test.each([0, 1, 2, 3, 4, 5])('base64 with %d bytes before and some after', (before) => {
    for (const after of [0, 1, 2, 3]) {
      const all = Buffer.concat([
        Buffer.alloc(before, 'b'),
        Buffer.from('s3cr3t-token'),
        Buffer.alloc(after, 'a'),
      ]);
      for (const encoding of ['base64', 'base64url'] as const) {
        const shown = createMask(['s3cr3t-token']).text(all.toString(encoding));
        expect(shown).toContain(mark);
        // The characters that mix bits of the secret with its neighbours' may stay: one at each end.
        expect(shown.replace(mark, '').length).toBeLessThanOrEqual(Math.ceil((before + after) / 3) * 4 + 2);
      }
    }
  });

  test.each([64, 76])('base64 in lines of %d', (width) => {
    const key = randomBytes(120).toString('latin1');
    const lines =
      Buffer.from(key)
        .toString('base64')
        .match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
    const shown = createMask([key]).text(lines.join('\n'));
    expect(shown.split('\n').slice(0, -1)).toEqual(lines.slice(0, -1).map(() => mark));
  });

  test('each line of several, however it is indented or prefixed', () => {
    const lines = ['-----BEGIN KEY-----', 'bG9uZyBlbm91Z2g', 'short', '-----END KEY-----'];
    const mask = createMask([`${lines.join('\n')}\n`]);
    expect(mask.text(lines.map((line) => `  | ${line}\r\n`).join(''))).toBe(
      `  | ${mark}\r\n  | ${mark}\r\n  | short\r\n  | ${mark}\r\n`,
    );
  });

  test('no form is so short that it would hide what is no secret', () => {
    for (const each of ['12345678', 'a\nb\nc\nd\ne', '        x', 'ab\n'.repeat(40)]) {
      for (const form of maskedForms(each)) expect(form.length).toBeGreaterThanOrEqual(8);
    }
  });

  test('overlapping secrets leave nothing of either', () => {
    const mask = createMask(['abcdefgh', 'efghijkl', 'abcdefghijklmnop']);
    expect(mask.text('<abcdefghijkl>')).toBe(`<${mark}>`);
    expect(mask.text('<abcdefghijklmnop>')).toBe(`<${mark}>`);
    expect(mask.text('<abcdefghabcdefgh>')).toBe(`<${mark}${mark}>`);
  });
});

describe('a stream', () => {
  test('for all secrets, encodings and chunks: no masked form is left, and all else is unchanged', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomFrom(seed);
      // Few letters make secrets that overlap others and themselves.
      const letters = Array.from(['ab', 'abc\n ', 'abcdefghijklmnopqrstuvwxyzAB/+="\\ü\n'][seed % 3] ?? '');
      const word = (length: number) =>
        Array.from({ length }, () => letters[random(letters.length)] ?? '').join('');
      const secrets = Array.from({ length: 1 + random(4) }, () => word(8 + random(seed % 2 ? 6 : 90)));
      const forms = secrets.flatMap(maskedForms);
      const text = Buffer.concat(
        Array.from({ length: 40 }, () => {
          const form = forms[random(forms.length)] ?? Buffer.alloc(0);
          return (
            [form, form.subarray(0, random(form.length)), Buffer.from(word(random(9)))][random(3)] ?? form
          );
        }),
      );
      const mask = createMask(secrets);
      const shown = through(mask, split(text, random, [1, 7, 300][seed % 3] ?? 1));
      expect(shown, `seed ${seed}`).toBe(plainly(secrets, text));
      for (const form of forms) expect(shown.includes(form.toString('latin1')), `seed ${seed}`).toBe(false);
    }
  });

  test('any bytes pass, and output without a secret is not even copied', () => {
    const noise = randomBytes(100_000);
    const seen: Buffer[] = [];
    const { write, end } = createMask(['correct horse']).stream((part) => void seen.push(part));
    void write(noise);
    void end();
    expect(Buffer.concat(seen).equals(noise)).toBe(true);
    expect(seen[0]?.buffer).toBe(noise.buffer);
  });

  test('only what may begin a secret is held back, and comes when it does not', () => {
    const seen: string[] = [];
    const { write, end } = createMask(['correct horse']).stream((part) => void seen.push(part.toString()));
    for (const chunk of ['Password: ', 'corr', 'ect', ' house', 'cor']) void write(Buffer.from(chunk));
    expect(seen).toEqual(['Password: ', 'correct house']);
    void end();
    expect(seen).toEqual(['Password: ', 'correct house', 'cor']);
  });

  test("the reader's promise is handed on: a slow one slows the build", () => {
    const slow = Promise.resolve();
    const { write } = createMask(['correct horse']).stream(() => slow);
    expect(write(Buffer.from('text'))).toBe(slow);
  });

  test('without secrets the reader itself is handed out', () => {
    const reader = () => {};
    expect(createMask([]).stream(reader).write).toBe(reader);
    expect(createMask([]).text('text')).toBe('text');
  });

  test.each([
    ['one letter', 'a'.repeat(60_000), `${'a'.repeat(59_999)}b`],
    ['two letters', 'ab'.repeat(30_000), `${'ab'.repeat(20_000)}aa`],
  ])('takes time that grows with the output alone: %s', (_, secret, output) => {
    const mask = createMask([secret]);
    const text = Buffer.from(output);
    // Looking at each place for the whole secret would be 10^11 comparisons: minutes.
    const began = performance.now();
    through(
      mask,
      Array.from({ length: 40 }, () => text),
    );
    through(
      mask,
      Array.from(text, (_byte, at) => text.subarray(at, at + 1)),
    );
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
