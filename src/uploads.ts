import type { RedisHandle } from './redis.ts';
import { createScript } from './redis/script.ts';

/** Where an uploaded working tree lies in storage, by the SHA-256 (hex) of its tar. */
export const uploadKey = (digest: string) => `uploads/${digest}.tar`;

/** Somebody asks for an upload while it is being removed for its age: in some seconds it is there no more. */
export class UploadGoingError extends Error {
  override readonly name = 'UploadGoingError';

  constructor(digest: string) {
    super(`the upload ${digest} is being removed, as nobody used it for long; try again in some seconds`);
  }
}

/** ARGV: digest, storage key. 0: it is being removed. */
const touchScript = createScript(`
local P = KEYS[1]
if redis.call('SISMEMBER', P .. 'removing', ARGV[2]) == 1 then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', P .. 'uploads', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
return 1
`);

/**
 * Says that an upload is wanted, before the storage is asked whether it is there: from now on it stays for as long as
 * unused uploads are kept. Throws UploadGoingError.
 */
export async function touchUpload({ client, prefix }: RedisHandle, digest: string): Promise<void> {
  if ((await touchScript.run(client, [prefix], [digest, uploadKey(digest)])) === 0) {
    throw new UploadGoingError(digest);
  }
}
