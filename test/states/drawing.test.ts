import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { drawSession, SESSION_PAGE } from './drawing.ts';

test('the page of the session states is drawn from the table as it is now', () => {
  assert.equal(
    readFileSync(SESSION_PAGE, 'utf8'),
    drawSession(),
    'draw it again: node test/states/drawing.ts',
  );
});
