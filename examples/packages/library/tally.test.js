'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const tally = require('./tally.js');

test('the most frequent line comes first, then in the order of the alphabet', () => {
  assert.deepEqual(tally(['b', 'a', 'b', '']), [['b', 2], ['', 1], ['a', 1]]);
});
