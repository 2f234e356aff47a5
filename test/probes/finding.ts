import { catalog, type Place, type Probe, probesOf } from './catalog.ts';

/** What a probe came to. */
export interface Finding extends Pick<Probe, 'id' | 'class' | 'expected'> {
  /** `no report`: it did not get so far. */
  readonly got: string;
}

export const isRed = ({ expected, got }: Finding): boolean => expected !== got;

/** Findings from what the program printed, among whatever else is in a log; one for each probe of the place. */
export function findings(output: string, place: Place): Finding[] {
  const told = new Map<string, string>();
  for (const [text] of output.matchAll(/\{"id":"[^\n]*\}/g)) {
    const { id, got }: { id: string; got: string } = JSON.parse(text);
    told.set(id, got);
  }
  return probesOf(place).map(({ id, class: kind, expected }) => ({
    id,
    class: kind,
    expected,
    got: told.get(id) ?? 'no report',
  }));
}

/** The line of a finding: what was found, and of a red one also what should have stopped it. */
export function lineOf(finding: Finding): string {
  const probe = catalog.find(({ id }) => id === finding.id);
  const line = `${finding.id}  ${finding.class}  cannot ${probe?.shows}: ${finding.got}`;
  return isRed(finding) ? `${line}; expected ${finding.expected}; by ${probe?.control}` : line;
}
