/** The part of s3rver that the tests use; it has no types of its own. */
declare module 's3rver' {
  export default class S3rver {
    constructor(options: {
      readonly address: string;
      readonly port: number;
      readonly directory: string;
      readonly silent: boolean;
      readonly configureBuckets: readonly { readonly name: string }[];
    });
    readonly store: { deleteObject: (bucket: string, key: string) => Promise<void> };
    run(): Promise<{ readonly port: number }>;
    close(): Promise<void>;
  }
}
