/** What a forge said to a commit status. */
export type Answer =
  | { readonly kind: 'accepted' }
  /** It may accept it later. `afterMs`: it said when. */
  | { readonly kind: 'failed'; readonly why: string; readonly afterMs?: number }
  /** Nobody knows: it may have accepted it, or still will. */
  | { readonly kind: 'silent'; readonly why: string; readonly afterMs?: number }
  /** It will not, as long as nobody changes something. */
  | { readonly kind: 'denied'; readonly why: string };

/** A forge that says `a day` is asked sooner: by then somebody may have given it more. */
const longestPauseMs = 3_600_000;

/** Reads an answer; `body`: the beginning of it. */
export function answerOf(status: number, headers: Headers, body: string, nowMs = Date.now()): Answer {
  if (status >= 200 && status < 300) return { kind: 'accepted' };
  // GitLab's state machine, for a state that it is in already or past: the reply to an earlier request was lost, or an
  // older build of the commit still runs.
  if (status === 400 && body.includes('Cannot transition status')) return { kind: 'accepted' };
  const why = `it answers ${status}${status >= 300 && status < 400 ? `, a redirect to ${headers.get('location')}` : ''}`;
  const said = body
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, 200);
  if (status >= 500 || [408, 409, 425, 429].includes(status) || isLimited(status, headers)) {
    const afterMs = pauseOf(headers, nowMs);
    // A gateway that did not wait for the forge itself.
    const kind = status === 502 || status === 504 ? 'silent' : 'failed';
    return { kind, why, ...(afterMs !== undefined && { afterMs }) };
  }
  return { kind: 'denied', why: said === '' ? why : `${why}: ${said}` };
}

/** GitHub says 403 also when it was asked too often. */
function isLimited(status: number, headers: Headers): boolean {
  return status === 403 && (headers.has('retry-after') || headers.get('x-ratelimit-remaining') === '0');
}

/** Retry-After (RFC 9110, 10.2.3) in seconds or as a date; else when the limit of GitHub ends, seconds since 1970. */
function pauseOf(headers: Headers, nowMs: number): number | undefined {
  const after = headers.get('retry-after') ?? '';
  const reset = headers.get('x-ratelimit-remaining') === '0' ? headers.get('x-ratelimit-reset') : null;
  const ms = /^\d+$/.test(after)
    ? Number(after) * 1000
    : (after === '' ? Number(reset ?? Number.NaN) * 1000 : Date.parse(after)) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), longestPauseMs);
}
