// Connects COUNT times to HOST and PORT, one after another, until UNTIL: `connect`, or `data`, the server's first byte.
// Prints the median of the microseconds that it took.
import { connect } from 'node:net';

const [host = '', port, count, until = 'connect'] = process.argv.slice(2);
const took: number[] = [];
for (let i = 0; i < Number(count); i++) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const begun = performance.now();
  const socket = connect(Number(port), host)
    .on('error', reject)
    .once(until, () => resolve());
  await promise;
  took.push((performance.now() - begun) * 1000);
  socket.resetAndDestroy();
}
process.stdout.write(String(took.toSorted((a, b) => a - b)[took.length >> 1]));
