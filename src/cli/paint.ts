import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

/** Text of ours in colour where stderr has it. */
export function paint(style: Style, text: string): string {
  return styleText(style, visible(text), { stream: process.stderr });
}

/** Names and messages may be a stranger's: they must not steer the terminal, nor make lines of their own. */
export function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
