import type { StatusRequest } from '../triggers/forge.ts';
import { type Answer, answerOf } from './answer.ts';

/** Characters of an answer that are read. */
const mostRead = 4096;

/**
 * Sends a status. Redirects are not followed: the token is for the forge whose address an administrator gave. A forge
 * that is not there, breaks off or says nothing for `timeoutMs` has failed.
 */
export async function post(request: StatusRequest, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
  const { url, ...init } = request;
  const patience = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      signal: AbortSignal.any([signal, patience]),
    });
    return answerOf(response.status, response.headers, await beginning(response));
  } catch (error) {
    if (patience.aborted) return { kind: 'failed', why: `it does not answer within ${timeoutMs / 1000} s` };
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { kind: 'failed', why: cause instanceof Error ? cause.message : String(cause) };
  }
}

async function beginning(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    // Leaving the loop ends the response.
    if (text.length >= mostRead) break;
  }
  return text.slice(0, mostRead);
}
