import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { introduce, messages, PATH } from './messages.ts';

test('version 1 of the site-to-site protocol is what was released', () => {
  const text = JSON.stringify({ PATH, messages, introduce });

  // A difference here is a new version folder, never a new hash.
  const hash = createHash('sha256').update(text).digest('hex');
  assert.equal(hash, '02ce7679edc983862e662ec5b03f58b427f9bf3bd50d15600b19b561460b5196');
});
