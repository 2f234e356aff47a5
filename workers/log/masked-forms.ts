import { shortestSecret } from '../../src/secrets.ts';

/**
 * What a secret looks like in a log: as it is, and as programs commonly print it: in base64 (wherever it lies in what
 * was encoded, in both alphabets, also in lines of 64 and 76 characters), hexadecimal, percent-encoded, quoted for JSON
 * or by `sh -x`. Of text with several lines each line too, as logs indent and prefix them. Each form once; none is
 * shorter than shortestSecret.
 */
export function maskedForms(secret: string): Buffer[] {
  const lines = secret.split(/\r?\n/).map((line) => line.trim());
  const texts = new Set([secret, ...lines].filter((text) => Buffer.byteLength(text) >= shortestSecret));
  const forms = new Set<string>();
  for (const text of texts) {
    const bytes = Buffer.from(text);
    for (const form of [
      ...quotedForms(text).map((quoted) => Buffer.from(quoted).toString('latin1')),
      ...hexForms(bytes),
      ...percentForms(bytes),
      ...base64Forms(bytes),
    ]) {
      if (form.length >= shortestSecret) forms.add(form);
    }
  }
  for (const line of [secret, `${secret}\n`].flatMap(wrappedBase64)) forms.add(line);
  return [...forms].map((form) => Buffer.from(form, 'latin1'));
}

function quotedForms(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  const escape = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return [
    text,
    json,
    json.replaceAll('/', '\\/'),
    // Go and Python; JSON has no other ASCII that they escape.
    json.replace(/[<>&\u2028\u2029]/g, escape),
    json.replace(/[\u007f-\uffff]/g, escape),
    text.replaceAll("'", `'\\''`),
  ];
}

function hexForms(bytes: Buffer): string[] {
  const hex = bytes.toString('hex');
  return [hex, hex.toUpperCase()];
}

/** Bytes that stay as they are: in RFC 3986, encodeURIComponent(), Python's quote() and HTML forms. */
const kept = [/[\w.~-]/, /[\w.~!'()*-]/, /[\w.~/-]/, /[\w.*-]/];

function percentForms(bytes: Buffer): string[] {
  return kept.flatMap((safe) => {
    const upper = Array.from(bytes, (byte) => {
      const char = String.fromCharCode(byte);
      return safe.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    }).join('');
    const lower = upper.replace(/%../g, (code) => code.toLowerCase());
    return [upper, lower, upper.replaceAll('%20', '+'), lower.replaceAll('%20', '+')];
  });
}

/**
 * Base64 depends on how many bytes come before, modulo 3, and its ends on the neighbours. For each of the three: the
 * characters that the secret alone decides, and the same with what follows when nothing comes after it.
 */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const from = Math.ceil((before * 8) / 6);
    const core = whole.slice(from, Math.floor(((before + bytes.length) * 8) / 6));
    const end = whole.slice(from);
    return [core, end, end.replace(/=+$/, '')].flatMap((form) => [form, urlSafe(form)]);
  });
}

function urlSafe(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_');
}

/** Lines of what base64(1) and openssl print, where there are several. */
function wrappedBase64(text: string): string[] {
  const whole = Buffer.from(text).toString('base64');
  return [64, 76].flatMap((width) =>
    whole.length <= width
      ? []
      : (whole.match(new RegExp(`.{1,${width}}`, 'g')) ?? []).filter((line) => line.length >= shortestSecret),
  );
}
