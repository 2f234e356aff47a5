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
  const { detail, errors = [] } = await problemOf(response);
  const places = errors.map((place) => `\n  ${nameOf(place)}: ${place.detail}`).join('');
  const said = detail ?? response.statusText;
  // The answer to HEAD has no body.
  const lacks = /scope="([^"]+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1];
  return new RefusedError(
    response.status,
    `${what}: ${response.status} ${said}${remedy(response, lacks)}${places}`,
  );
}

/** The service's own words for why; undefined: it is not the service that answers. Reads the body. */
export async function detailOf(response: Response): Promise<string | undefined> {
  return (await problemOf(response)).detail;
}

async function problemOf(response: Response) {
  const text = await response.text().catch(() => '');
  return problemIn(text.slice(0, longestDocument));
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

/** What a server that is not Cofferdam answers to requests it does not know. */
const foreign = [404, 405, 501];

function remedy({ status, headers }: Response, scope: string | undefined): string {
  if (foreign.includes(status) && !headers.get('content-type')?.startsWith('application/problem+json'))
    return '; Cofferdam does not answer so: check COFFERDAM_URL';
  if (status === 401)
    return '; set COFFERDAM_TOKEN to a token of that service (cofferdam token create makes one)';
  if (scope !== undefined)
    return `; use a token that has the scope ${scope} (cofferdam token create --scope ${scope})`;
  return '';
}
