/** Words in a commit's message by which its author asks for no build, as GitHub and GitLab know them. */
const asked = /\[(?:skip[ _-]ci|ci[ _-]skip|no[ _-]ci)\]/i;

/** The words that ask for no build; undefined: there are none. */
export function skipRequest(text: string | null | undefined): string | undefined {
  return asked.exec(text ?? '')?.[0];
}
