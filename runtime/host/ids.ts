import { idRange } from '../crun/driver.ts';
import { type Finding, type Host, type Requirement, readHostFile } from './requirement.ts';

const { first } = idRange;
const count = idRange.slots * 65_536;

const reservation = `cofferdam:${first}:${count}`;

/**
 * The line keeps useradd and others from giving the range to somebody else (subuid(5)); the kernel does not ask
 * for it while builds run as root.
 */
function probeReservation(host: Host, file: string): Finding {
  const lines = (readHostFile(host, file) ?? '').split('\n');
  if (lines.includes(reservation)) return { status: 'ok', detail: reservation };
  const rival = lines.find(overlaps);
  if (rival !== undefined) {
    const text = `give that account another range in ${file}, then add the line ${reservation}`;
    return { status: 'missing', detail: `${rival} overlaps`, remedy: { kind: 'advice', text } };
  }
  return {
    status: 'missing',
    detail: `${file} lacks ${reservation}`,
    remedy: {
      kind: 'command',
      title: `reserve the ids of builds in ${file}`,
      args: appendOnce(file),
      needsRoot: true,
    },
  };
}

function overlaps(line: string): boolean {
  const [, theirs = NaN, many = NaN] = line.split(':').map(Number);
  return theirs < first + count && first < theirs + many;
}

/** Two set-ups at once add one line; a last line without a newline stays whole. */
function appendOnce(file: string): [string, ...string[]] {
  const add = `{ [ -z "$(tail -c1 ${file})" ] || echo; echo ${reservation}; } >> ${file}`;
  return ['flock', file, 'sh', '-c', `grep -qx ${reservation} ${file} || ${add}`];
}

/** The reserved range in both files. */
export const idRequirements: readonly Requirement[] = ['/etc/subuid', '/etc/subgid'].map((file) => ({
  id: file.slice('/etc/'.length),
  purpose: 'keeps the ids of builds free',
  neededFor: 'builds',
  probe: (host) => probeReservation(host, file),
}));
