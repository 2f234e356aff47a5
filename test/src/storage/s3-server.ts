import S3rver from 's3rver';

export interface S3Server {
  /** `s3://…` of a place in its bucket. */
  url(prefix: string): string;
  stop(): Promise<void>;
}

/** s3rver with one bucket, its files below `directory`; sets the credentials it wants in this process. */
export async function startS3(directory: string): Promise<S3Server> {
  process.env['AWS_ACCESS_KEY_ID'] = 'S3RVER';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'S3RVER';
  const configureBuckets = [{ name: 'bucket' }];
  const server = new S3rver({ directory, configureBuckets, address: '127.0.0.1', port: 0, silent: true });
  serialiseDeletes(server);
  const { port } = await server.run();
  return {
    url: (prefix) => `s3://bucket/${prefix}?endpoint=${encodeURIComponent(`http://127.0.0.1:${port}`)}`,
    stop: () => server.close(),
  };
}

/** Two of s3rver's deletes that empty a directory together fail; no real service has that fault. */
function serialiseDeletes({ store }: S3rver): void {
  const deleteObject = store.deleteObject.bind(store);
  let last = Promise.resolve();
  store.deleteObject = (bucket, key) => (last = last.then(() => deleteObject(bucket, key)));
}
