import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CommandError, run } from '../../../runtime/command.ts';
import { GitUrlError, parseGitUrl, sameServer } from '../../../src/git/url.ts';
import { cleanGit } from '../../git/repository.ts';
import { createRandom } from '../../random.ts';

const parse = (text: string) => parseGitUrl(text, { hosts: 'public' });

describe('the same place is written in one way', () => {
  test.each([
    ['https://example.org/team/tool.git', 'https://example.org/team/tool.git'],
    ['HTTPS://Example.ORG:443/team/Tool.git/', 'https://example.org/team/Tool.git'],
    ['https://example.org:8443/a%20b', 'https://example.org:8443/a%20b'],
    ['https://192.0.2.1/x', 'https://192.0.2.1/x'],
    ['https://[2001:DB8::0:1]:8443/x', 'https://[2001:db8::1]:8443/x'],
    ['https://xn--bcher-kva.example/x', 'https://xn--bcher-kva.example/x'],
    ['ssh://example.org/srv/x.git', 'ssh://git@example.org/srv/x.git'],
    ['ssh://ada@example.org:22/x', 'ssh://ada@example.org/x'],
    ['ssh://ada@example.org:2222/~/x', 'ssh://ada@example.org:2222/~/x'],
    ['git@example.org:team/tool.git', 'ssh://git@example.org/team/tool.git'],
    ['example.org:/srv/x.git', 'ssh://git@example.org/srv/x.git'],
    ['git@[2001:db8::1]:x', 'ssh://git@[2001:db8::1]/x'],
    // Git takes %XX literally in the short form, and decodes it in a URL.
    ['git@example.org:50%20off', 'ssh://git@example.org/50%2520off'],
  ])('%s', (text, written) => {
    expect(parse(text).toString()).toBe(written);
    expect(parse(written).toString()).toBe(written);
  });
});

test('http is for the forge of a private network', () => {
  expect(() => parse('http://forge/x')).toThrow(/write https/);
  expect(String(parseGitUrl('http://forge:80/x', { hosts: 'internal' }))).toBe('http://forge/x');
});

describe('what is refused, and why', () => {
  test.each([
    ['', /no https/],
    ['-u/x', /dash/],
    ['--upload-pack=touch /tmp/x', /dash/],
    ['-oProxyCommand=x:y', /dash/],
    ['ext::sh -c id', /space/],
    ['ext::sh', /transport 'ext::'/],
    ['fd::17', /transport 'fd::'/],
    ['https::https://example.org/x', /transport 'https::'/],
    ['file:///etc', /scheme file/],
    ['git://example.org/x', /scheme git/],
    ['ftp://example.org/x', /scheme ftp/],
    ['git+ssh://example.org/x', /write ssh/],
    ['/etc', /no https/],
    ['../x', /no https/],
    ['./a:b', /no https/],
    ['file:/etc', /no https/],
    ['https:example.org/x', /no https/],
    ['ssh://-oProxyCommand=id/x', /dash/],
    ['ssh://ada@-oProxyCommand=id/x', /dash/],
    ['ssh://-ada@example.org/x', /user name/],
    ['-ada@example.org:x', /dash/],
    ['example.org:-x', /no https/],
    ['git@-x:y', /dash/],
    ['https:///x', /no host/],
    ['https://@example.org/x', /user or password/],
    ['https://ada:hunter22@example.org/x', /cofferdam repo add/],
    ['https://token@example.org/x', /cofferdam repo add/],
    ['https://example.org\\@evil.example/x', /user or password/],
    ['ssh://ada:hunter22@example.org/x', /ssh gets in by a key/],
    ['ada:hunter22@example.org:x', /no https/],
    ['https://exa mple.org/x', /space/],
    ['https://example.org/x\nHost: y', /control/],
    ['https://example.org/x\r', /control/],
    ['https://example.org/x\0', /control/],
    ['https://example.org/x\u202Egit', /control/],
    ['https://example.org/%00', /control/],
    ['https://example.org/%0d%0aX', /control/],
    ['https://example.org/100%', /%XX/],
    ['https://bücher.example/x', /xn--/],
    ['https://example.org/ü', /%XX/],
    ['https://exam%70le.org/x', /no domain name/],
    ['https://example.org./x', /no domain name/],
    ['https://a..b/x', /no domain name/],
    [`https://${'a'.repeat(64)}.org/x`, /no domain name/],
    [`https://example.org/${'x'.repeat(3000)}`, /longer/],
    ['https://2130706433/x', /192\.0\.2\.1/],
    ['https://0x7f000001/x', /192\.0\.2\.1/],
    ['https://0x7f.1/x', /192\.0\.2\.1/],
    ['https://0177.0.0.1/x', /192\.0\.2\.1/],
    ['https://127.1/x', /192\.0\.2\.1/],
    ['https://[fe80::1%25eth0]/x', /IPv6/],
    ['https://[fe80::1%eth0]/x', /IPv6/],
    ['https://[127.0.0.1]/x', /IPv6/],
    ['https://::1/x', /port/],
    ['https://example.org:/x', /port/],
    ['https://example.org:0/x', /65535/],
    ['https://example.org:65536/x', /65535/],
    ['https://example.org:22:22/x', /port/],
    ['https://example.org', /no repository/],
    ['https://example.org//', /no repository/],
    ['https://example.org/x?token=hunter22', /query/],
    ['https://example.org/x#hunter22', /query/],
    ['https://example.org/../x', /'\.\.'/],
    ['https://example.org/a/%2E%2e/x', /'\.\.'/],
    ['https://example.org/$(id)`id`', /%XX/],
    ['https://example.org/a\\b', /%XX/],
  ])('%j', (text, reason) => {
    expect(() => parse(text)).toThrow(GitUrlError);
    expect(() => parse(text)).toThrow(reason);
    expect(() => parse(text)).not.toThrow(/hunter22/);
  });

  test('a long password does not show in the message either', () => {
    expect(() => parse(`https://ada:${'hunter22'.repeat(200)}@example.org/x`)).not.toThrow(/hunter22/);
  });
});

test('credentials are for one server: scheme, host and port', () => {
  const base = parse('https://example.org/a');
  expect(sameServer(base, parse('https://EXAMPLE.org:443/b'))).toBe(true);
  for (const other of [
    'https://example.org:8443/a',
    'https://sub.example.org/a',
    'ssh://git@example.org/a',
  ]) {
    expect(sameServer(base, parse(other)), other).toBe(false);
  }
});

/** URLs of the form that people write, with oddities in every part. */
function strangeUrls(seed: number, count: number, scheme: 'https' | 'ssh'): string[] {
  const { between, chance } = createRandom(seed);
  const one = (words: string) => {
    const all = words.split(' ');
    return all[between(0, all.length - 1)] ?? '';
  };
  const name = () => one('example.org EXAMPLE.org a_b.c-d 192.0.2.7 [2001:db8::7] 0x7f.1 1.2.3 x. -a');
  const mark = () => (chance(0.9) ? '' : one('@ : % \\ ? # [ ; :: // %40 %2f ~ +'));
  const part = () => one("team x.git ~ada .. a%20b it's a:b a@b -x $HOME &&");
  return Array.from({ length: count }, () => {
    const user = scheme === 'ssh' && chance(0.5) ? `${one('git ada -x a%62')}${mark()}@` : '';
    const port = chance(0.3) ? `:${one('22 443 8080 99999 ')}` : '';
    return `${scheme}://${user}${name()}${mark()}${port}/${part()}${mark()}/${part()}${mark()}`;
  });
}

test('git reads the host, port, user and path of an ssh URL as we do', { timeout: 60_000 }, async () => {
  const accepted = strangeUrls(1, 400, 'ssh').flatMap((text) => {
    try {
      return [parse(text)];
    } catch {
      return [];
    }
  });
  expect(accepted.length).toBeGreaterThan(50);
  for (const url of accepted) {
    const { stdout } = await run({
      file: 'git',
      args: ['fetch-pack', '--diag-url', String(url)],
      env: cleanGit,
    });
    const path = decodeURIComponent(url.path).replace(/^\/~/, '~');
    const [, ...lines] = stdout.toString().trim().split('\n');
    expect(lines, String(url)).toEqual([
      'Diag: protocol=ssh',
      `Diag: userandhost=${url.user}@${url.host.replace(/[[\]]/g, '')}`,
      `Diag: port=${url.port === 22 ? 'NONE' : url.port}`,
      `Diag: path=${path}`,
    ]);
  }
});

describe('with a proxy that tells which host it is asked for', () => {
  const asked: string[] = [];
  const proxy = createServer();
  let proxyUrl = '';
  beforeAll(async () => {
    proxy.on('connect', (request, socket) => {
      asked.push(request.url ?? '');
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const address = proxy.address();
    if (address !== null && typeof address === 'object') proxyUrl = `http://127.0.0.1:${address.port}`;
  });
  afterAll(() => proxy.close());

  test('curl connects to the host and port that we read', { timeout: 60_000 }, async () => {
    for (const text of strangeUrls(2, 200, 'https')) {
      let expected: string;
      try {
        const { host, port } = parse(text);
        expected = `${host}:${port}`;
      } catch {
        continue;
      }
      asked.length = 0;
      const args = ['-c', `http.proxy=${proxyUrl}`, 'ls-remote', String(parse(text))];
      await expect(run({ file: 'git', args, env: cleanGit })).rejects.toThrow(CommandError);
      expect(asked, text).toEqual([expected]);
    }
  });
});
