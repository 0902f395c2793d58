import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromWire, isWireId, toWire } from './ids.ts';

test('an id comes back from the wire as it went out, whatever part of a thing it names', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.nat({ max: 0xffff_ffff }), (id, part) => {
      const wire = toWire('group', id, part);

      assert.ok(isWireId(wire));
      assert.deepEqual(fromWire('group', wire), { id, part });
    }),
  );
});

test('an id of another type, or of no form, is none', () => {
  const wire = toWire('token', crypto.randomUUID());

  assert.equal(fromWire('group', wire), undefined);
  for (const text of ['', 'x'.repeat(42), wire.slice(1), `${wire}0`]) {
    assert.equal(isWireId(text), false);
    assert.equal(fromWire('token', text), undefined);
  }
});
