import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../domain/ids.ts';
import type { GroupId, SiteId } from '../../domain/ids.ts';
import { QmpClosed } from '../qmp/errors.ts';
import { SendLimits } from './send-limits.ts';
import type { LimitedSend } from './send-limits.ts';

interface Watched extends LimitedSend {
  readonly seen: (number | undefined)[];
}

function sendTo(peerId: SiteId, own?: number): Watched {
  const seen: (number | undefined)[] = [];
  const apply = async (limit: number | undefined): Promise<void> => void seen.push(limit);
  return { groupId: newId<GroupId>(), peerId, own, apply, seen };
}

test('sends to one peer share its limit, and none takes more than its own', async () => {
  const limits = new SendLimits();
  const [lyon, oslo] = [newId<SiteId>(), newId<SiteId>()];
  const [one, small, other] = [sendTo(lyon), sendTo(lyon, 10), sendTo(oslo, 70)];
  await limits.changeLink(lyon, 100);

  await limits.enter(one);
  await limits.enter(small);
  await limits.enter(other);
  await limits.changeLink(lyon, 16);
  await limits.changeOwn(one.groupId, 5);
  await limits.leave(small);
  await limits.changeOwn(one.groupId, undefined);
  await limits.changeLink(lyon, undefined);

  assert.deepEqual(one.seen, [100, 50, 8, 5, 5, 16, undefined]);
  assert.deepEqual(small.seen, [10, 8, 8]);
  assert.deepEqual(other.seen, [70]);
});

test('a send whose data plane ended keeps no other from its limit', async () => {
  const limits = new SendLimits();
  const lyon = newId<SiteId>();
  const ended = { ...sendTo(lyon), apply: () => Promise.reject(new QmpClosed('it ended')) };
  const alive = sendTo(lyon);
  await limits.enter(ended);

  await limits.enter(alive);
  await limits.changeLink(lyon, 8);

  assert.deepEqual(alive.seen, [undefined, 4]);
});

test('a limit is never nothing, however many share it', async () => {
  const limits = new SendLimits();
  const lyon = newId<SiteId>();
  const sends = Array.from({ length: 3 }, () => sendTo(lyon));
  await limits.changeLink(lyon, 2);

  for (const send of sends) await limits.enter(send);

  assert.equal(sends[0]?.seen.at(-1), 1);
});
