/**
 * Ends this process as SIGTERM does when whoever started it is gone: it holds the other end of our stdin, which the
 * kernel closes for it also when it is killed.
 */
export function endWithParent(): void {
  process.stdin.once('close', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.on('error', () => {});
  process.stdin.resume().unref();
}
