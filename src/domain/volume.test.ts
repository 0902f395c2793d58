import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from './ids.ts';
import type { VolumeId } from './ids.ts';
import { checkName, MAX_NAME_LENGTH } from './names.ts';
import { checkGrowth, checkSize, MAX_VOLUME_BYTES, MIN_VOLUME_BYTES, serialOf } from './volume.ts';
import type { Volume } from './volume.ts';

for (const sizeBytes of [
  0,
  -512,
  511,
  MIN_VOLUME_BYTES - 512,
  MIN_VOLUME_BYTES + 1,
  1.5,
  Number.NaN,
  Infinity,
  MAX_VOLUME_BYTES + 512,
]) {
  test(`a volume of ${sizeBytes} bytes is refused with what was wanted`, () => {
    assert.throws(() => checkSize(sizeBytes), /sizeBytes: wanted a multiple of 512/);
  });
}

test('sizes at both ends of the limits are taken', () => {
  assert.equal(checkSize(MIN_VOLUME_BYTES), MIN_VOLUME_BYTES);
  assert.equal(checkSize(MAX_VOLUME_BYTES), MAX_VOLUME_BYTES);
});

test('a volume never shrinks', () => {
  const volume = { sizeBytes: 2 * MIN_VOLUME_BYTES } as Volume;

  assert.throws(() => checkGrowth(volume, MIN_VOLUME_BYTES), /at least the present size/);
  assert.equal(checkGrowth(volume, 3 * MIN_VOLUME_BYTES), 3 * MIN_VOLUME_BYTES);
});

for (const name of [
  '',
  ' ',
  '-a',
  '.a',
  'a b',
  'a/b',
  '../x',
  'ä',
  'a'.repeat(MAX_NAME_LENGTH + 1),
]) {
  test(`the name ${JSON.stringify(name.slice(0, 12))} (${name.length}) is refused`, () => {
    assert.throws(() => checkName(name), /name: wanted 1 to 64/);
  });
}

test('a serial follows from the id and nothing else', () => {
  const id = newId<VolumeId>();

  assert.equal(serialOf(id), serialOf(id));
  assert.match(serialOf(id), /^[0-9a-f]{20}$/);
});
