import { crunDriver } from '../../runtime/crun/driver.ts';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import { holderFile } from '../../runtime/host/holder.ts';
import { layersDir } from '../rootfs.ts';
import { sandboxContract } from './contract.ts';
import { overlays } from './crun/lab.ts';
import { fakeShell } from './fake/shell.ts';

for (const overlay of overlays) {
  sandboxContract(
    `crun, ${overlay} overlays`,
    (dataDir) => crunDriver({ dataDir, layersDir, holder: holderFile, crun: '/usr/bin/crun', overlay }),
    { counters: 'kernel' },
  );
}

sandboxContract('fake', () => fakeDriver(fakeShell), { counters: 'none' });
