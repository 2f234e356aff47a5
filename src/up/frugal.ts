/**
 * How the API is started, so that its resident memory stays low; deploy/cofferdam-serve.service and bin/cofferdam say the
 * same. A thousand followers need some 70 MB; without these the process grows by three times as much, and keeps that.
 */
export const frugal = {
  /** By itself glibc's malloc gives little back of what was needed for a moment (mallopt(3)). `NAME=value`. */
  environment: ['MALLOC_ARENA_MAX=2', 'MALLOC_TRIM_THRESHOLD_=131072', 'MALLOC_MMAP_THRESHOLD_=65536'],
  /** V8 lets the two spaces for new objects grow to 64 MiB each; what streams make for each write is short-lived. */
  nodeOptions: ['--max-semi-space-size=8'],
} as const;
