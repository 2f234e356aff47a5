import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { campaigns } from '../fuzz/catalog.ts';
import { bombs } from '../probes/bombs.ts';
import { catalog } from '../probes/catalog.ts';
import { uses } from '../probes/uses.ts';

const tests = join(import.meta.dirname, '..');
const probes = new Set(
  [...catalog, ...uses, ...bombs.map(({ id, name }) => ({ id: `${id}-${name}` }))].map(({ id }) => id),
);

/** The last cells of a page's tables whose last column says what shows the row. */
function evidence(page: string): string[] {
  const text = readFileSync(join(tests, '../docs', page), 'utf8');
  const tables = text.matchAll(/\| shown by \|\n\|[-|]+\n((?:\|.*\n)+)/g);
  return [...tables].flatMap(([, rows = '']) =>
    rows
      .trim()
      .split('\n')
      .map((row) => row.split('|').at(-2) ?? ''),
  );
}

/**
 * What a cell names that does not exist. `fuzz` is before targets; a test is a path below test/ without its ending, or beside
 * the one named before it.
 */
function missing(cell: string): string[] {
  return cell.split(';').flatMap((part) => {
    const names = [...part.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    if (part.trim().startsWith('fuzz `')) return names.filter((name) => !campaigns.has(name));
    let beside = '.';
    return names.filter((name) => {
      if (probes.has(name)) return false;
      const path = [name, join(beside, name)].find(
        (each) => globSync(`${each}.test.ts`, { cwd: tests }).length > 0,
      );
      if (path !== undefined) beside = dirname(path);
      return path === undefined;
    });
  });
}

test.each([
  ['security.md', 30],
  ['hostile-input.md', 30],
])('every row of docs/%s names what shows it, and that is there', (page, rows) => {
  const cells = evidence(page);
  expect(cells.length).toBeGreaterThanOrEqual(rows);
  expect(cells.filter((cell) => !cell.includes('`'))).toEqual([]);
  expect(cells.flatMap(missing)).toEqual([]);
});

test('a name of nothing is found', () => {
  expect(missing('`2-unshare`, `2-nothing`; `probes/core`, `gone`; fuzz `layers`, `no-target`')).toEqual([
    '2-nothing',
    'gone',
    'no-target',
  ]);
});

test('every probe shows some row', () => {
  const cells = evidence('security.md').join(' ');
  // What builds need is no threat.
  const threats = catalog.filter(({ id }) => id !== '0-needed');
  expect(threats.filter(({ id }) => !cells.includes(`\`${id}\``))).toEqual([]);
});
