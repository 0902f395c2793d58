import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { introduce, messages, PATH } from './messages.ts';

test('version 1 of the site-to-site protocol is what was released', () => {
  const text = JSON.stringify({ PATH, messages, introduce });

  // A difference here is a new version folder, never a new hash.
  const hash = createHash('sha256').update(text).digest('hex');
  assert.equal(hash, 'db9d912eb83196fef17adddf3874c69922b6be80f6d152d36f0b54a73330c725');
});
