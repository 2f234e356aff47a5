/** One thing that the service says is wrong with a request, and where. */
interface Place {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly header?: string;
  readonly detail: string;
}

/** The service answered, and will not do it. The message has the service's own words and what to do. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  /** The HTTP status. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

const longestDocument = 64 * 1024;

/** What a response that is no success says: a problem document (RFC 9457), or what a proxy on the way made of it. */
export async function refusalOf(response: Response, what: string): Promise<RefusedError> {
  const text = await response.text().catch(() => '');
  const { detail, errors = [] } = problemIn(text.slice(0, longestDocument));
  const places = errors.map((place) => `\n  ${nameOf(place)}: ${place.detail}`).join('');
  const said = detail ?? response.statusText;
  // The answer to HEAD has no body.
  const lacks = /scope="([^"]+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1];
  return new RefusedError(
    response.status,
    `${what}: ${response.status} ${said}${remedy(response.status, lacks)}${places}`,
  );
}

function problemIn(text: string): { readonly detail?: string; readonly errors?: readonly Place[] } {
  try {
    const document: { detail?: unknown; errors?: readonly Place[] } | null = JSON.parse(text);
    return {
      ...(typeof document?.detail === 'string' && { detail: document.detail }),
      ...(Array.isArray(document?.errors) && { errors: document.errors }),
    };
  } catch {
    return {};
  }
}

const nameOf = ({ pointer, parameter, header }: Place) =>
  pointer?.replace(/^#\//, '').replaceAll('/', '.') ?? parameter ?? header ?? 'request';

function remedy(status: number, scope: string | undefined): string {
  if (status === 401)
    return '; set COFFERDAM_TOKEN to a token of that service (cofferdam token create makes one)';
  if (scope !== undefined)
    return `; use a token that has the scope ${scope} (cofferdam token create --scope ${scope})`;
  return '';
}
