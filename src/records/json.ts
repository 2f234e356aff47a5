/** JSON that this program wrote itself, of a type that it knows. Throws SyntaxError when it is damaged. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names it
export function parseOwn<T>(text: string): T {
  return JSON.parse(text);
}
