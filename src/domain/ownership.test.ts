import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newId } from './ids.ts';
import type { GroupId, PointId, SiteId } from './ids.ts';
import { firstOwnership, give, meet, seize, take } from './ownership.ts';
import type { Ownership } from './ownership.ts';
import { Refusal } from './refusal.ts';

const groupId = newId<GroupId>();
const paris = newId<SiteId>();
const lyon = newId<SiteId>();

test('giving and taking raise the epoch by one, and both sites then say the same', () => {
  const before = firstOwnership(paris);

  const given = give(groupId, before, paris, lyon);
  const taken = take(groupId, before, lyon, given.epoch);

  assert.deepEqual(given, { ...before, holder: lyon, epoch: 2 });
  assert.deepEqual(taken, given);
});

test('a handover carries the history on, a failover begins another that names its point', () => {
  const before = firstOwnership(paris);
  const pointId = newId<PointId>();

  const { history } = take(groupId, before, lyon, 2);
  const seized = seize(before, lyon, pointId).history;

  assert.deepEqual(history, before.history);
  assert.notEqual(seized.id, before.history.id);
  assert.equal(seized.pointId, pointId);
});

test('taking again what was taken changes nothing', () => {
  const taken = take(groupId, firstOwnership(paris), lyon, 2);

  assert.equal(take(groupId, taken, lyon, 2), taken);
});

test('only the holder gives, and only the next epoch is taken', () => {
  const own = firstOwnership(paris);
  const stale = (error: unknown): boolean =>
    error instanceof Refusal && error.reason.code === 'stale_epoch';

  assert.throws(() => give(groupId, own, lyon, paris), /is held by site/);
  assert.throws(() => take(groupId, own, lyon, 3), stale);
  assert.throws(() => take(groupId, own, lyon, 1), stale);
});

test('in any order of gives, takes and lost messages no two sites hold a group at one epoch', () => {
  const move = fc.constantFrom('give', 'take', 'take_again', 'meet');
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      const sites = [paris, lyon] as const;
      const own: [Ownership, Ownership] = [firstOwnership(paris), firstOwnership(paris)];
      for (const [index, action] of moves.entries()) {
        const here = (index % 2) as 0 | 1;
        const there = (1 - here) as 0 | 1;
        const [me, other] = [sites[here], sites[there]];
        try {
          if (action === 'give') own[here] = give(groupId, own[here], me, other);
          if (action === 'take' || action === 'take_again') {
            if (own[there].holder === me)
              own[here] = take(groupId, own[here], me, own[there].epoch);
          }
          if (
            action === 'meet' &&
            meet(own[here], own[there], me) === 'learn' &&
            own[there].holder !== me
          ) {
            own[here] = own[there];
          }
        } catch (error) {
          assert.ok(error instanceof Refusal);
        }
        const writers = sites.filter((site, i) => own[i]?.holder === site);
        assert.ok(writers.length <= 1, `both hold it: ${JSON.stringify(own)}`);
      }
    }),
  );
});

test('a holder that meets a higher epoch fences before it learns', () => {
  const own = firstOwnership(paris);
  const higher: Ownership = { ...own, holder: lyon, epoch: 2, forced: true };

  assert.equal(meet(own, higher, paris), 'fence_then_learn');
  assert.equal(meet(own, higher, lyon), 'learn');
  assert.equal(meet(higher, own, lyon), 'they_are_behind');
  assert.equal(meet(own, own, paris), 'same');
});
