import { isIP, isIPv4 } from 'node:net';

/** What an administrator lets builds reach although it is private. */
export interface EgressException {
  /** An address or a network, `10.1.2.0/24`. */
  readonly network: string;
  /** Undefined: all ports. */
  readonly port?: number;
}

/** As the setting is written, for messages. */
export const egressExceptionsForm =
  'addresses and networks with or without ports, as 10.1.2.0/24,[fd00::1]:443';

/** Parses a list with commas; undefined: it has not the form. */
export function parseEgressExceptions(text: string): EgressException[] | undefined {
  const parsed = text.split(',').map((each) => parse(each.trim()));
  return parsed.every((each) => each !== undefined) ? parsed : undefined;
}

function parse(text: string): EgressException | undefined {
  const [, bracketed, plain, portText] =
    /^(?:\[([^\]]+)\]|([^:[\]]+|[^[\]]*:[^[\]]*:[^[\]]*?))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const network = bracketed ?? plain ?? '';
  const [address = '', bits, ...more] = network.split('/');
  const port = portText === undefined ? undefined : Number(portText);
  if (isIP(address) === 0 || more.length > 0) return undefined;
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128)))
    return undefined;
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  return { network, ...(port !== undefined && { port }) };
}
