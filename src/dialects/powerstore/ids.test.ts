import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isId, newId } from '../../domain/ids.ts';
import type { HostId, PointId, VolumeId } from '../../domain/ids.ts';
import { joined, nameIn, nguidOf, wwnOf } from './ids.ts';

test('an id made of two can be taken apart again', () => {
  for (let round = 0; round < 100; round += 1) {
    const [point, volume] = [newId<PointId>(), newId<VolumeId>()];

    const snapshot = joined(point, volume);

    assert.ok(isId(snapshot));
    assert.equal(joined(snapshot as HostId, volume), point);
    assert.equal(joined(snapshot as PointId, point as unknown as VolumeId), volume);
  }
});

test('wwn and nguid have the vendor’s form', () => {
  const id = newId<VolumeId>();

  assert.match(wwnOf(id), /^naa\.68ccf098[0-9a-f]{24}$/);
  assert.match(nguidOf(id), /^nguid\.[0-9a-f]{32}$/);
});

test('a name stands for an id after name:', () => {
  assert.equal(nameIn('name:orders'), 'orders');
  assert.equal(nameIn('name:'), '');
  assert.equal(nameIn('orders'), undefined);
});
