import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { introduce, messages, PATH } from './messages.ts';

test('version 1 of the site-to-site protocol is what was released', () => {
  const text = JSON.stringify({ PATH, messages, introduce });

  // A difference here is a new version folder, never a new hash.
  const hash = createHash('sha256').update(text).digest('hex');
  assert.equal(hash, '58ed4437f61d920344e0a8885f5f49b0c9aa6465fe0d0ba4a2011a0f0eefb70e');
});
