import type { IncomingHttpHeaders } from 'node:http';
import type { Status } from '../build.ts';
import type { ForgeKind, Repository } from '../repositories.ts';
import type { GitSource } from '../spec.ts';
import type { Trigger, Trust } from '../trigger.ts';

/**
 * The seam between the service and a forge. One value a forge, one file a value; pure but for the signature's
 * arithmetic: what is sent and received is somebody else's work.
 *
 *   authenticate   over the raw bytes, before anything is parsed
 *   deliveryId     what makes a repeated delivery the same
 *   headers        what has to be kept of a delivery's headers, so that it can be read again
 *   read           what the delivery asks for, once it is known to be genuine
 *   statusRequest  what tells the forge how a commit's build fares
 */
export interface Forge {
  readonly kind: ForgeKind;
  /** Constant time. False also when there is no signature, or only a weak one. */
  authenticate(message: Message, secrets: readonly string[]): boolean;
  /** Undefined: the forge names none; the digest of the body does then. */
  deliveryId(headers: IncomingHttpHeaders): string | undefined;
  /** Names of the headers that `read` looks at, in lower case; no secrets among them. */
  readonly headers: readonly string[];
  /** One event a ref: a push may move several. Throws PayloadError. */
  read(message: Message, repository: Repository): readonly ForgeEvent[];
  /** Undefined: this forge has no commit statuses, or the repository has no `apiUrl`. */
  statusRequest(repository: Repository, token: string, status: CommitStatus): StatusRequest | undefined;
}

export interface Message {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What a delivery asks for, or a part of it. */
export type ForgeEvent =
  | {
      readonly kind: 'build';
      readonly trigger: Trigger;
      readonly trust: Trust;
      readonly source: Pick<GitSource, 'ref' | 'sha' | 'base'>;
    }
  /** Nothing to be done, and why: answered 202, kept for a replay. */
  | { readonly kind: 'ignored'; readonly reason: string };

/** How a build fares, for people who look at the commit. */
export interface CommitStatus {
  readonly sha: string;
  readonly ref?: string;
  readonly state: Status;
  /** Which of several verdicts on a commit this is, such as `cofferdam/push`. */
  readonly context: string;
  /** One line. */
  readonly description: string;
  /** Page of the build. */
  readonly url: string;
}

export interface StatusRequest {
  readonly method: 'POST' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A genuine delivery that does not say what its event must say; the message names the field. */
export class PayloadError extends Error {
  override readonly name = 'PayloadError';
}
