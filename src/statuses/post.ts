import { codeOf } from '../client/http.ts';
import type { StatusRequest } from '../triggers/forge.ts';
import { type Answer, answerOf } from './answer.ts';

/** Nobody was there to be sent anything. */
const unsent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Characters of an answer that are read. */
const mostRead = 4096;

/**
 * Sends a status. Redirects are not followed: the token is for the forge whose address an administrator gave. A forge
 * that is not there has failed; whether one took it that breaks off, or says nothing for `timeoutMs`, nobody knows.
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
    if (patience.aborted) return { kind: 'silent', why: `it does not answer within ${timeoutMs / 1000} s` };
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    return { kind: unsent.has(codeOf(error)) ? 'failed' : 'silent', why };
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
