import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { crunDriver } from '../../../runtime/crun/driver.ts';
import { holderFile } from '../../../runtime/host/holder.ts';
import { containBy } from '../../../runtime/images/contain.ts';
import { layerDirectory, type StoreLayout, storeLayout, useLock } from '../../../runtime/images/layout.ts';
import { installPackages } from '../../../runtime/images/package-layer.ts';
import { type ImageRecord, readImage } from '../../../runtime/images/records.ts';
import { imageStore } from '../../../runtime/images/store.ts';
import type { SandboxDriver } from '../../../runtime/sandbox.ts';
import type { Store } from '../../../runtime/images/workplace.ts';
import { tell } from '../crun/lab.ts';
import { debian, testData } from '../../rootfs.ts';
import { census } from './unpacking.ts';

let dir: string;
let layout: StoreLayout;
let driver: SandboxDriver;
let store: Store;
let base: ImageRecord;

beforeAll(async () => {
  mkdirSync(testData, { recursive: true });
  dir = mkdtempSync(join(testData, 'packages-'));
  layout = storeLayout(dir);
  driver = crunDriver({ dataDir: dir, layersDir: layout.layers, holder: holderFile, crun: '/usr/bin/crun' });
  store = { layout, contain: containBy(holderFile), sandboxes: () => driver };
  const { digest } = await imageStore(dir, store).importImage('base', debian.layers[0] ?? '');
  const image = readImage(layout, digest);
  if (!image) throw new Error('the image that was imported is not there');
  base = image;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Numbers of system calls, for perl: the image has no setcap. */
const [setxattr, getxattr] = process.arch === 'arm64' ? [5, 8] : [188, 191];

interface Package {
  readonly name: string;
  readonly control?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly postinst?: string;
}

/** A directory with these packages as dpkg-deb makes them. */
async function archivesOf(...packages: readonly Package[]) {
  const directory = mkdtempSync(join(dir, 'debs-'));
  for (const { name, control = '', files = {}, postinst } of packages) {
    const tree = mkdtempSync(join(dir, 'tree-'));
    const about = `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n${control}`;
    for (const [path, text] of Object.entries({ 'DEBIAN/control': about, ...files })) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    if (postinst !== undefined) {
      writeFileSync(join(tree, 'DEBIAN/postinst'), `#!/bin/sh\nset -e\n${postinst}\n`);
      chmodSync(join(tree, 'DEBIAN/postinst'), 0o755);
    }
    chmodSync(tree, 0o755);
    await run({ file: 'dpkg-deb', args: ['--build', '--root-owner-group', tree, directory] });
  }
  return { directory, count: packages.length };
}

async function install(...packages: readonly Package[]) {
  const work = mkdtempSync(join(layout.tmp, 'work-'));
  const lines: string[] = [];
  const image = await installPackages(store, work, base, await archivesOf(...packages), (line) => {
    lines.push(line);
  });
  const layer = layerDirectory(layout, image.layers.at(-1)?.id ?? '');
  return { image, layer, lines };
}

/** What a script says in a container of the image. */
async function inside({ layers, digest }: ImageRecord, script: string): Promise<string> {
  const sandbox = driver.open({
    id: `look-${digest.slice(-12)}`,
    limits: {
      cpus: 2,
      memoryBytes: 2 ** 29,
      diskBytes: 2 ** 26,
      diskInodes: 10_000,
      pids: 64,
      openFiles: 1024,
    },
    workspace: { path: '/workspace', sources: [], hidden: [] },
  });
  try {
    const root = {
      layers: layers.map(({ id }) => layerDirectory(layout, id)),
      lock: useLock(layout, digest),
    };
    const container = sandbox.start({ name: 'look', root });
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    return (await tell(container, { args: ['/bin/sh', '-euc', script], env, cwd: '/' })).output;
  } finally {
    await sandbox.destroy();
  }
}

describe('packages installed over an image', () => {
  it('are a layer over its layers, with what they brought and changed, and nothing of the sandbox', async () => {
    const { image, layer, lines } = await install(
      { name: 'first', control: 'Pre-Depends: second\n', files: { 'usr/share/first/x y': 'first' } },
      {
        name: 'second',
        files: { 'usr/share/second/x': 'second' },
        postinst: `touch '/usr/share/second/-a
b'`,
      },
    );
    expect(image.layers.slice(0, -1)).toEqual(base.layers);
    expect(lines).toEqual(['installing 2 packages', 'making a layer of them']);
    expect(census(join(layer, 'usr'))).toEqual([
      'share',
      'share/first',
      'share/first/x y',
      'share/second',
      'share/second/-a\nb',
      'share/second/x',
    ]);
    expect(readdirSync(layer).sort()).toEqual(['usr', 'var']);
    expect(census(layer).filter((path) => /\.deb$|log\/|lists|cache\/apt/.test(path))).toEqual([]);
    expect(
      await inside(image, 'dpkg-query -W -f "\\${Package} \\${Status}\\n" first second; dpkg --audit'),
    ).toBe('first install ok installed\nsecond install ok installed\n');
  });

  it('tell how far they are', async () => {
    const packages = Array.from({ length: 21 }, (_, at) => ({ name: `many${at}` }));
    const { lines } = await install(...packages);
    expect(lines[0]).toBe('installing 21 packages');
    expect(lines[1]).toMatch(/^[12][0-9] of 21 packages are installed$/);
    expect(lines.at(-1)).toBe('making a layer of them');
  });

  it('may remove and replace what the image has', async () => {
    const { image } = await install({
      name: 'remover',
      postinst: `
        rm /usr/share/common-licenses/GPL-2
        rm -r /usr/share/doc/apt && mkdir /usr/share/doc/apt && echo new > /usr/share/doc/apt/new
        rm -r /usr/share/doc/bash && ln -s apt /usr/share/doc/bash
        rm -r /usr/share/doc/tar && echo file > /usr/share/doc/tar
        rm -r /usr/share/doc/sed
        mv /etc/debian_version /etc/debian.version`,
    });
    const script = `
      ls /usr/share/common-licenses | grep -x 'GPL-[23]'
      ls /usr/share/doc/apt /usr/share/doc/bash; readlink /usr/share/doc/bash; cat /usr/share/doc/tar
      ls -d /usr/share/doc/sed /etc/debian_version 2>&1 || :
      ls -d /etc/debian.version
      find / -xdev -name '.wh.*'`;
    expect((await inside(image, script)).split('\n')).toEqual([
      'GPL-3',
      '/usr/share/doc/apt:',
      'new',
      '',
      '/usr/share/doc/bash:',
      'new',
      'apt',
      'file',
      "ls: cannot access '/usr/share/doc/sed': No such file or directory",
      "ls: cannot access '/etc/debian_version': No such file or directory",
      '/etc/debian.version',
      '',
    ]);
  });

  it('keep owners, modes, set-id bits, links and capabilities', async () => {
    const { image } = await install({
      name: 'special',
      postinst: `
        mkdir -m 2750 /var/lib/special && cd /var/lib/special
        echo x > owned && chown 33:1000 owned && chmod 4755 owned
        ln owned linked && ln -s /nowhere broken && mkfifo -m 600 pipe
        chmod 700 /usr/games && chown 5:60 /usr/games
        # A capability of cap_net_raw=ep: what setcap would write.
        perl -e '$file = "owned"; $name = "security.capability"; $value = pack("V5", 0x02000001, 0x2000, 0, 0, 0);
          syscall(${setxattr}, $file, $name, $value, 20, 0) == 0 or die $!'`,
    });
    const script = `
      cd /var/lib/special
      stat -c '%n %u:%g %a %h %F' *
      stat -c '%n %u:%g %a' . /usr/games
      perl -e '$file = "owned"; $name = "security.capability"; $value = "." x 64;
        print unpack("H*", substr($value, 0, syscall(${getxattr}, $file, $name, $value, 64)))'`;
    expect((await inside(image, script)).split('\n')).toEqual([
      'broken 0:0 777 1 symbolic link',
      'linked 33:1000 4755 2 regular file',
      'owned 33:1000 4755 2 regular file',
      'pipe 0:0 600 1 fifo',
      '. 0:0 2750',
      '/usr/games 5:60 700',
      '0100000200200000000000000000000000000000',
    ]);
  });

  it.each([
    [
      { name: 'broken', postinst: 'exit 3' },
      /cannot be installed: dpkg: error processing package broken .*: .*exit status 3/,
    ],
    [{ name: 'needy', control: 'Depends: nosuch\n' }, /cannot be installed: E: Unable to correct problems/],
    [
      { name: 'hostile', postinst: 'mount -t tmpfs none /mnt || exit 9' },
      /cannot be installed: dpkg: error processing package hostile/,
    ],
    [
      {
        name: 'lonely',
        postinst: 'for i in /sys/class/net/*; do [ $i = /sys/class/net/lo ] || exit 0; done; exit 7',
      },
      /exit status 7/,
    ],
    [
      { name: 'liar', postinst: "printf '#!/bin/sh\\nexit 5\\n' > /usr/bin/tar" },
      /cannot be read: exit code 5/,
    ],
  ])('that cannot be installed leave nothing: $name', async (broken, message) => {
    const before = readdirSync(layout.layers);
    await expect(install(broken)).rejects.toThrow(message);
    expect(readdirSync(layout.layers)).toEqual(before);
  });
});
