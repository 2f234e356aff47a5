'use strict';

/** Pairs of a line and how often it comes, the most frequent first. */
module.exports = function tally(lines) {
  const counts = new Map();
  for (const line of lines) counts.set(line, (counts.get(line) || 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
};
