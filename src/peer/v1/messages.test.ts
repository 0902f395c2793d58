import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { introduce, messages, PATH } from './messages.ts';

test('version 1 of the site-to-site protocol is what was released', () => {
  const text = JSON.stringify({ PATH, messages, introduce });

  // A difference here is a new version folder, never a new hash.
  const hash = createHash('sha256').update(text).digest('hex');
  assert.equal(hash, '4543076970a5a2fc1cae823f6e9c477d14ac3309897e69581cdada875e6dbb6e');
});
