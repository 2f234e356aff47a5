import { describe, expect, it } from 'vitest';
import {
  canonical,
  ImageReferenceError,
  isLoopback,
  parseLocalName,
  parseReference,
} from '../../../runtime/images/reference.ts';

const hex = 'a'.repeat(64);
const digest = `sha256:${hex}`;
const nothingImported = () => false;
const parse = (text: string) => parseReference(text, nothingImported);

describe('a registry reference', () => {
  it.each([
    ['debian', 'docker.io/library/debian:latest'],
    ['debian:12', 'docker.io/library/debian:12'],
    ['owner/name', 'docker.io/owner/name:latest'],
    ['docker.io/debian', 'docker.io/library/debian:latest'],
    ['index.docker.io/debian', 'docker.io/library/debian:latest'],
    ['docker.io/owner/name:1', 'docker.io/owner/name:1'],
    ['ghcr.io/owner/name:1.0-rc.1', 'ghcr.io/owner/name:1.0-rc.1'],
    ['ghcr.io/a/b/c/d', 'ghcr.io/a/b/c/d:latest'],
    ['localhost/x', 'localhost/x:latest'],
    ['localhost:5000/x', 'localhost:5000/x:latest'],
    ['127.0.0.1:5000/x:y', '127.0.0.1:5000/x:y'],
    ['[::1]:5000/x', '[::1]:5000/x:latest'],
    ['Registry/x', 'Registry/x:latest'],
    ['a__b/c.d-e--f', 'docker.io/a__b/c.d-e--f:latest'],
    [`debian@${digest}`, `docker.io/library/debian@${digest}`],
    [`debian:12@${digest}`, `docker.io/library/debian@${digest}`],
    [`localhost:5000/x@${digest}`, `localhost:5000/x@${digest}`],
    [`debian:${'t'.repeat(128)}`, `docker.io/library/debian:${'t'.repeat(128)}`],
  ])('%s means %s', (text, meaning) => {
    expect(canonical(parse(text))).toBe(meaning);
  });

  it('keeps the tag that was written with a digest', () => {
    expect(parse(`debian:12@${digest}`)).toMatchObject({ tag: '12', digest });
    expect(parse(`debian@${digest}`)).toMatchObject({ tag: undefined, digest });
  });

  it.each([
    [''],
    [' '],
    ['-debian'],
    ['--help'],
    ['Debian'],
    ['debian:'],
    ['debian:-x'],
    [`debian:${'t'.repeat(129)}`],
    ['debian:a:b'],
    ['debian/'],
    ['/debian'],
    ['a//b'],
    ['a/../b'],
    ['.'],
    ['a/./b'],
    ['http://example.org/x'],
    ['docker://debian'],
    ['exa mple.org/x'],
    ['example.org:port/x'],
    ['example.org:123456/x'],
    ['-o.example.org/x'],
    ['[::1/x'],
    ['debian\n'],
    ['debian\0'],
    ['débian'],
    ['debian@'],
    ['debian@latest'],
    [`debian@sha256:${hex.slice(1)}`],
    [`debian@sha256:${hex.toUpperCase()}`],
    [`debian@sha512:${hex}${hex}`],
    [`debian@${digest}@${digest}`],
    [`@${digest}`],
    ['a'.repeat(256)],
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(ImageReferenceError);
  });

  it('says what to write instead', () => {
    expect(() => parse('Debian:12')).toThrow(
      "'Debian:12' is no image: 'Debian' is not valid in a name (lower case only); " +
        'write for example debian:12 or ghcr.io/owner/name:1.0',
    );
  });
});

describe('a bootstrap reference', () => {
  it.each([
    ['bootstrap:bookworm', 'bookworm', []],
    ['bootstrap:kali-rolling', 'kali-rolling', []],
    ['bootstrap:bookworm+git', 'bookworm', ['git']],
    ['bootstrap:bookworm+git,build-essential', 'bookworm', ['build-essential', 'git']],
    ['bootstrap:bookworm+git,git', 'bookworm', ['git']],
    ['bootstrap:bookworm+g++', 'bookworm', ['g++']],
    ['bootstrap:bookworm+libstdc++6,g++-12', 'bookworm', ['g++-12', 'libstdc++6']],
    ['bootstrap:trixie+python3.13', 'trixie', ['python3.13']],
  ])('%s is %s with %j', (text, suite, packages) => {
    expect(parse(text)).toEqual({ kind: 'bootstrap', suite, packages, added: [] });
  });

  it.each([
    ['bootstrap:bookworm/rpm', [], ['rpm']],
    ['bootstrap:bookworm/rpm,g++,rpm', [], ['g++', 'rpm']],
    ['bootstrap:bookworm+g++,git/rpm', ['g++', 'git'], ['rpm']],
    ['bootstrap:bookworm+git/rpm,git', ['git'], ['rpm']],
    ['bootstrap:bookworm+git/git', ['git'], []],
  ])('%s adds to the packages %j in a layer of their own %j', (text, packages, added) => {
    const reference = parse(text);
    expect(reference).toEqual({ kind: 'bootstrap', suite: 'bookworm', packages, added });
    expect(parse(canonical(reference))).toEqual(reference);
  });

  it('is the same image however its packages are ordered', () => {
    expect(canonical(parse('bootstrap:bookworm+make,gcc'))).toBe(
      canonical(parse('bootstrap:bookworm+gcc,make,gcc')),
    );
  });

  // Suite and packages reach the argument list of mmdebstrap, and through it apt's.
  it.each([
    ['bootstrap:'],
    ['bootstrap:+git'],
    ['bootstrap:Bookworm'],
    ['bootstrap:-bookworm'],
    ['bootstrap:--help'],
    ['bootstrap:../x'],
    ['bootstrap:/etc'],
    ['bootstrap:a b'],
    ['bootstrap:a\nb'],
    ['bootstrap:bookworm+'],
    ['bootstrap:bookworm+git,'],
    ['bootstrap:bookworm+,git'],
    ['bootstrap:bookworm+git,,make'],
    ['bootstrap:bookworm+git make'],
    ['bootstrap:bookworm+git,-y'],
    ['bootstrap:bookworm+systemd-'],
    ['bootstrap:bookworm+/tmp/evil.deb'],
    ['bootstrap:bookworm+./evil.deb'],
    ['bootstrap:bookworm+git=1:2'],
    ['bootstrap:bookworm/'],
    ['bootstrap:bookworm+/git'],
    ['bootstrap:bookworm+git/'],
    ['bootstrap:bookworm/git,'],
    ['bootstrap:bookworm/git/make'],
    ['bootstrap:bookworm/./evil.deb'],
    ['bootstrap:bookworm//tmp/evil.deb'],
    ['bootstrap:bookworm/git-'],
    ['bootstrap:bookworm/-y'],
    ['bootstrap:bookworm+git:arm64'],
    ['bootstrap:bookworm+?essential'],
    ['bootstrap:bookworm+~nlinux'],
    ['bootstrap:bookworm+$(id)'],
    ["bootstrap:bookworm+a'b"],
    ['bootstrap:bookworm+GIT'],
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(ImageReferenceError);
  });
});

describe('the name of an imported image', () => {
  const imported = (name: string) => name === 'debian' || name === 'Base:1' || name === 'bootstrap:x';

  it.each([
    ['debian', 'local:debian'],
    ['Base:1', 'local:Base:1'],
    ['debian:latest', 'docker.io/library/debian:latest'],
    ['docker.io/library/debian', 'docker.io/library/debian:latest'],
  ])('counts only as it was written: %s is %s', (text, meaning) => {
    expect(canonical(parseReference(text, imported))).toBe(meaning);
  });

  it('never hides bootstrap:', () => {
    expect(() => parseReference('bootstrap:x', imported)).toThrow(ImageReferenceError);
    expect(parseReference('bootstrap:xy', () => true)).toMatchObject({ kind: 'bootstrap' });
  });

  it.each([['base'], ['Base:1'], ['team/base:2.0'], ['localhost:5000/x'], ['a'.repeat(255)]])(
    'may be %s',
    (name) => {
      expect(parseLocalName(name)).toEqual({ kind: 'local', name });
    },
  );

  it.each([[''], ['-x'], ['.x'], ['a b'], ['a\n'], ['x@y'], ['bootstrap:x'], ['ä'], ['a'.repeat(256)]])(
    'may not be %j',
    (name) => {
      expect(() => parseLocalName(name)).toThrow(ImageReferenceError);
    },
  );
});

describe('a registry on this machine', () => {
  it.each([
    ['localhost/x', true],
    ['localhost:5000/x', true],
    ['127.0.0.1:5000/x', true],
    ['127.1.2.3/x', true],
    ['[::1]:5000/x', true],
    ['x', false],
    ['ghcr.io/x', false],
    ['10.0.0.1/x', false],
    ['localhost.example.org/x', false],
    ['127.0.0.1.example.org/x', false],
    ['127.0.0.1.nip.io:5000/x', false],
    ['[::2]/x', false],
  ])('%s: %s', (text, expected) => {
    const reference = parse(text);
    expect(reference.kind === 'registry' && isLoopback(reference)).toBe(expected);
  });
});
