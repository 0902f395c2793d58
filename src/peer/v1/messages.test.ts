import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { introduce, messages, PATH } from './messages.ts';

test('version 1 of the site-to-site protocol is what was released', () => {
  const text = JSON.stringify({ PATH, messages, introduce });

  // A difference here is a new version folder, never a new hash.
  const hash = createHash('sha256').update(text).digest('hex');
  assert.equal(hash, '9407a598ef2b88701c413fbe4597e980b6e2a0dbc37fecfbffe0339c0f4f0802');
});
