import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../runtime/command.ts';

/** A throw-away certificate that vouches for itself, and its key; PEM. */
export async function certificateFor(host: string): Promise<{ readonly key: string; readonly cert: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-tls-'));
  const [key, cert] = [join(directory, 'key'), join(directory, 'cert')];
  try {
    const kind = [
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    const names = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
    await run({ file: 'openssl', args: ['req', ...kind, ...names, '-keyout', key, '-out', cert] });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
