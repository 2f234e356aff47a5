/** One event of a text/event-stream. */
export interface ServerSentEvent {
  readonly type: string;
  readonly data: string;
  /** What Last-Event-ID must say to get what follows this event. */
  readonly lastEventId: string;
}

/**
 * Events of a text/event-stream (HTML Living Standard, "Server-sent events"), as far as whole ones came: what a broken
 * connection leaves is dropped, as the standard wants. Comments and `retry` are left out.
 */
export async function* eventsOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let type = '';
  let data: string[] = [];
  let lastEventId = '';
  for await (const line of linesOf(stream)) {
    if (line === '') {
      if (data.length > 0) yield { type: type || 'message', data: data.join('\n'), lastEventId };
      type = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') type = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id' && !value.includes('\0')) lastEventId = value;
  }
}

/** Lines that end in LF, CR LF or CR. */
async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const open: string[] = [];
  let afterReturn = false;
  for await (const chunk of stream) {
    let text = decoder.decode(chunk, { stream: true });
    if (text === '') continue;
    if (afterReturn && text.startsWith('\n')) text = text.slice(1);
    afterReturn = text.endsWith('\r');
    const lines = text.split(/\r\n|\n|\r/);
    // A long line comes in many chunks: they are put together once.
    for (const [i, line] of lines.entries()) {
      open.push(line);
      if (i === lines.length - 1) break;
      yield open.join('');
      open.length = 0;
    }
  }
}
