/** Another process that pulls: `node puller.ts DATA_DIR REF`. Tells its progress on stdout, and last the digest. */
import { imageStore } from '../../../runtime/images/store.ts';
import { storeOptions } from './unpacking.ts';

const [dataDir = '', ref = ''] = process.argv.slice(2);
const progress = (line: string) => process.stdout.write(`${line}\n`);
const image = await imageStore(dataDir, storeOptions).pull(ref, {
  insecureRegistry: true,
  progress,
});
process.stdout.write(`${image.digest}\n`);
