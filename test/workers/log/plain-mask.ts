import { maskedForms } from '../../../workers/log/masked-forms.ts';

export const mark = '********';

/** What a mask makes of a text, by looking at each place for each form: slow, and plainly right. As latin1. */
export function plainly(secrets: readonly string[], text: Buffer): string {
  const covered: [from: number, to: number][] = [];
  for (const form of secrets.flatMap(maskedForms)) {
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1))
      covered.push([at, at + form.length]);
  }
  let shown = '';
  let done = 0;
  for (const [from, to] of covered.sort(([a], [b]) => a - b)) {
    if (from >= done) shown += text.toString('latin1', done, from) + mark;
    done = Math.max(done, to);
  }
  return shown + text.toString('latin1', done);
}
