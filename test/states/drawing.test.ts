import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { pages } from './drawing.ts';

for (const { path, drawn } of pages) {
  test(`${basename(path)} is drawn from the table as it is now`, () => {
    const words = 'draw it again: node test/states/drawing.ts';
    assert.equal(readFileSync(path, 'utf8'), drawn, words);
  });
}
