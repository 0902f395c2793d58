import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from './exit-codes.ts';
import { parseSeconds, parseSize, sayBytes, saySeconds } from './quantities.ts';

test('sizes are read in binary units, and nonsense is refused', () => {
  const sizes: readonly [string, number][] = [
    ['512', 512],
    ['1K', 1024],
    ['10G', 10 * 1024 ** 3],
    ['10GiB', 10 * 1024 ** 3],
    ['1.5t', 1.5 * 1024 ** 4],
    ['64 MB', 64 * 1024 ** 2],
    ['7b', 7],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseSize(text), bytes, text);

  for (const text of ['', 'G', '-1G', '1X', '1.3', '10 G B', '1e3', '9999999T']) {
    assert.throws(() => parseSize(text), UsageError, text);
  }
});

test('times are read in seconds, minutes, hours and days', () => {
  const times: readonly [string, number][] = [
    ['30s', 30],
    ['90', 90],
    ['5m', 300],
    ['5min', 300],
    ['1h', 3600],
    ['2d', 172_800],
  ];
  for (const [text, seconds] of times) assert.equal(parseSeconds(text), seconds, text);

  for (const text of ['', 's', '1.5h', '-3s', '5x']) {
    assert.throws(() => parseSeconds(text), UsageError, text);
  }
});

test('quantities are said as people read them', () => {
  assert.deepEqual([0, 512, 1536, 10 * 1024 ** 3, 1.25 * 1024 ** 4].map(sayBytes), [
    '0 B',
    '512 B',
    '1.5 KiB',
    '10 GiB',
    '1.3 TiB',
  ]);
  assert.deepEqual([0.4, 59, 120, 3600, 7500].map(saySeconds), [
    '0 s',
    '59 s',
    '2 min',
    '60 min',
    '2 h 5 min',
  ]);
});

test('a size that was said is read as about the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 46 }), (bytes) => {
      const said = parseSize(sayBytes(Math.round(bytes)).replace(/\.\d+/, ''));
      // One digit: 1.95 TiB is said as 2.0 TiB, which is 2.6 % more.
      assert.ok(said <= bytes * 1.03 && said >= bytes / 2, `${bytes} ${said}`);
    }),
  );
});
