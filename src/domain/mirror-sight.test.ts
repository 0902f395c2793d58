import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from './ids.ts';
import type { MirrorId } from './ids.ts';
import { judge } from './mirror-sight.ts';
import type { MirrorSight } from './mirror-sight.ts';
import { newSynchrony } from './synchrony.ts';
import type { Synchrony } from './synchrony.ts';

const mirrorId = newId<MirrorId>();

function held(sync: Partial<Synchrony>, state: Synchrony['condition']['state']): Synchrony {
  const condition = { state, since: 0, why: 'as it was' };
  return { ...newSynchrony(3, 'begun', 0), onLoss: 'hold', mirrorId, condition, ...sync };
}

const waiting: MirrorSight = {
  state: 'level',
  why: undefined,
  waitingMs: 1500,
  heardAgoMs: 100,
  strangerMs: 0,
  recorded: mirrorId,
};

test('a host is held for a destination it was in sync with, and for no other', () => {
  assert.equal(judge(held({}, 'in_sync'), waiting)?.fact, 'held_up');
  assert.equal(judge(held({}, 'fractured'), waiting)?.fact, 'held_up');

  assert.equal(judge(held({}, 'catching_up'), waiting)?.fact, 'broken');
  assert.equal(judge(held({ released: true }, 'fractured'), waiting)?.fact, 'broken');
});

test('a session that goes on alone has its link cut, and its mirror left to end by itself', () => {
  const goesOn = held({ onLoss: 'continue', released: true }, 'fractured');
  assert.equal(judge(goesOn, waiting)?.fact, 'held_up');
});
