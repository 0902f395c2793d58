import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK_BYTES, decodeBlock, encodeBlock } from './numbered-block.ts';

const written = { run: 0xfedc_ba98, label: 'orders', block: 123_456, sequence: 2 ** 40 + 7 };

test('a block tells which write it came from', () => {
  const bytes = encodeBlock(written);

  assert.equal(bytes.length, BLOCK_BYTES);
  assert.deepEqual(decodeBlock(bytes), written);
});

test('any flipped byte makes a block torn', () => {
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    const bytes = encodeBlock(written);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    assert.equal(decodeBlock(bytes), 'torn', `byte ${at}`);
  }
});

test('the halves of two writes make a torn block, zeroes make none', () => {
  const older = encodeBlock(written);
  const newer = encodeBlock({ ...written, sequence: written.sequence + 1 });

  for (let at = 512; at < BLOCK_BYTES; at += 512) {
    assert.equal(decodeBlock(Buffer.concat([newer.subarray(0, at), older.subarray(at)])), 'torn');
  }
  assert.equal(decodeBlock(Buffer.alloc(BLOCK_BYTES)), 'zeroes');
});
