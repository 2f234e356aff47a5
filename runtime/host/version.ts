/** Whether a dotted version (`1.8.1`, `6.18.44-cloud`) is not older than another; text after the numbers is ignored. */
export function atLeast(version: string, wanted: string): boolean {
  const have = numbers(version);
  for (const [place, number] of numbers(wanted).entries()) {
    const difference = (have[place] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function numbers(version: string): number[] {
  return (/^\d+(\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);
}
