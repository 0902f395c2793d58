import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GroupId, PairId, VolumeId } from '../domain/ids.ts';
import { newId } from '../domain/ids.ts';
import { Refusal } from '../domain/refusal.ts';
import type { ReasonCode } from '../domain/refusal.ts';
import type { NewStandIn } from '../domain/stand-in.ts';
import type { Errand } from '../ports/errands.ts';
import { memoryPair } from '../../test/support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../../test/support/memory-site.ts';

const MIB = 1024 * 1024;

const refusal =
  (code: ReasonCode) =>
  (error: unknown): boolean =>
    error instanceof Refusal && error.reason.code === code;

/** A request at one site, with its job followed at the one that carried it out. */
async function ask(
  { paris, lyon }: MemoryPair,
  at: MemorySite,
  errand: Errand,
  where?: MemorySite,
): Promise<string | undefined> {
  const { id, jobId } = await at.app.askSite({ errand, by: 'alice', at: where?.id });
  if (jobId !== undefined) {
    const site = (await lyon.ports.store.read((tx) => tx.sagas.get(jobId))) ? lyon : paris;
    const { state, outcome } = await site.ended(jobId);
    assert.equal(state, 'done', outcome?.message ?? '');
  }
  return id;
}

/** One volume at each site, both made at Paris's door. */
async function twoVolumes(pair: MemoryPair): Promise<readonly [VolumeId, VolumeId]> {
  const { paris, lyon } = pair;
  const make = (name: string, where: MemorySite) =>
    ask(pair, paris, { verb: 'create_volume', name, sizeBytes: MIB }, where);
  return [(await make('data', paris)) as VolumeId, (await make('data-dr', lyon)) as VolumeId];
}

function standIn({ lyon }: MemoryPair, volumeId: VolumeId): NewStandIn {
  return { pairId: newId<PairId>(), volumeId, siteId: lyon.id, name: '', description: '' };
}

/** Volumes `data` and `data-dr` paired, in group `orders`. */
async function grouped(pair: MemoryPair): Promise<GroupId> {
  const [volumeId, other] = await twoVolumes(pair);
  await ask(pair, pair.lyon, { verb: 'pair_volumes', volumeId, standIn: standIn(pair, other) });
  const group = { name: 'orders', description: 'all of it', volumeIds: [volumeId] };
  return (await ask(pair, pair.lyon, { verb: 'create_group', ...group })) as GroupId;
}

/** The same, copied once. */
async function replicated(pair: MemoryPair): Promise<{ groupId: GroupId; ids: VolumeId[] }> {
  const groupId = await grouped(pair);
  const [volume] = (await pair.paris.app.showGroup(groupId)).volumes;
  const ids = [volume!.id, volume!.standIn!.volumeId];
  await ask(pair, pair.lyon, { verb: 'replicate', groupId, peerId: pair.lyon.id });
  await ask(pair, pair.lyon, { verb: 'replicate', groupId, peerId: pair.lyon.id });
  return { groupId, ids };
}

test('what is made at either site is seen at both', async (t) => {
  const pair = await memoryPair(t);

  const [data, standing] = await twoVolumes(pair);

  for (const site of [pair.paris, pair.lyon]) {
    const { groups } = await site.app.showBothSites();
    const seen = groups.map((g) => [g.volumes[0]?.id, g.ownership.holder, g.isStale]);
    const wanted = [
      [data, pair.paris.id, false],
      [standing, pair.lyon.id, false],
    ];
    assert.deepEqual(new Set(seen), new Set(wanted));
  }
});

test('a group is handed over and back by requests at one and the same site', async (t) => {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { groupId } = await replicated(pair);

  for (const holder of [lyon, paris, lyon]) {
    await ask(pair, paris, { verb: 'hand_over', groupId });

    const { groups } = await paris.app.showBothSites();
    const group = groups.find((g) => g.id === groupId);
    assert.deepEqual([group?.ownership.holder, group?.homeId], [holder.id, paris.id]);
    assert.equal(group?.volumes[0]?.standIn?.siteId, lyon.id);
  }
});

test('a request that the other site carries out is in the audit log there', async (t) => {
  const pair = await memoryPair(t);
  await twoVolumes(pair);

  const [line] = await pair.lyon.app.listAudit();

  assert.deepEqual(
    [line?.user, line?.what, line?.target],
    ['alice at paris', 'errand create_volume', 'data-dr'],
  );
});

test('what a silent site holds is shown as it was known, and it can be taken over', async (t) => {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { groupId } = await replicated(pair);
  lyon.trouble.down = true;

  const before = await lyon.app.showBothSites();
  await assert.rejects(ask(pair, lyon, { verb: 'pause', groupId }), refusal('peer_unreachable'));
  await ask(pair, lyon, { verb: 'fail_over', groupId });
  const after = await lyon.app.showBothSites();

  assert.equal(before.groups.find((g) => g.id === groupId)?.isStale, true);
  assert.equal(before.sites.find(({ id }) => id === paris.id)?.answers, false);
  assert.equal(after.groups.find((g) => g.id === groupId)?.ownership.holder, lyon.id);
});

test('a pair is two volumes of one size that nothing else uses', async (t) => {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const [volumeId, other] = await twoVolumes(pair);
  const small = await ask(
    pair,
    paris,
    { verb: 'create_volume', name: 'small', sizeBytes: 2 * MIB },
    lyon,
  );
  const wanted = (id: VolumeId): Errand => ({
    verb: 'pair_volumes',
    volumeId,
    standIn: standIn(pair, id),
  });

  await assert.rejects(ask(pair, paris, wanted(small as VolumeId)), refusal('invalid'));
  await assert.rejects(ask(pair, paris, wanted(newId())), refusal('not_found'));
  await assert.rejects(ask(pair, paris, wanted(volumeId)), refusal('not_found'));
  assert.equal((await paris.app.showVolume(volumeId)).standIn, undefined);

  await ask(pair, paris, wanted(other));
  await assert.rejects(ask(pair, paris, wanted(other)), refusal('in_use'));
});

test('neither volume of a pair can be deleted, resized, grouped or replicated by itself', async (t) => {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { ids } = await replicated(pair);
  const [data, standing] = ids as [VolumeId, VolumeId];
  const group = (await lyon.app.showVolume(standing)).groupId;
  const { host } = await lyon.app.createHost({ name: 'app1' });
  const { id: other } = await lyon.app.createGroup({ name: 'other' });

  const refused = [
    () => lyon.app.deleteVolume({ volumeId: standing }),
    () => lyon.app.resizeVolume({ volumeId: standing, sizeBytes: 2 * MIB }),
    () => lyon.app.addVolume({ groupId: other, volumeId: standing }),
    () => lyon.app.mapHost({ groupId: group, hostId: host.id }),
    () => lyon.app.protectGroup({ groupId: group, peerId: paris.id, rpoSeconds: 30 }),
    () => paris.app.deleteVolume({ volumeId: data }),
    () => paris.app.resizeVolume({ volumeId: data, sizeBytes: 2 * MIB }),
    () => ask(pair, paris, { verb: 'delete_volume', volumeId: standing }),
  ];
  for (const request of refused) await assert.rejects(request(), refusal('in_use'));
});

test('a volume away from home stays in its group until it is handed back', async (t) => {
  const pair = await memoryPair(t);
  const { lyon, paris } = pair;
  const { groupId, ids } = await replicated(pair);
  const remove: Errand = { verb: 'change_group', groupId, add: [], remove: [ids[0]!] };
  await ask(pair, paris, { verb: 'hand_over', groupId });

  await assert.rejects(ask(pair, lyon, remove), refusal('unsupported'));

  await ask(pair, paris, { verb: 'hand_over', groupId });
  await ask(pair, lyon, remove);
  assert.deepEqual((await paris.app.showGroup(groupId)).volumes, []);
});

test('what was replicated is taken apart again, and both volumes stay', async (t) => {
  const pair = await memoryPair(t);
  const { lyon, paris } = pair;
  const { groupId, ids } = await replicated(pair);
  const [volumeId, standing] = ids as [VolumeId, VolumeId];
  const { standIn: paired } = await paris.app.showVolume(volumeId);

  await ask(pair, lyon, { verb: 'pause', groupId });
  await assert.rejects(ask(pair, lyon, { verb: 'delete_group', groupId }), refusal('in_use'));
  await ask(pair, lyon, { verb: 'change_group', groupId, add: [], remove: [volumeId] });
  await ask(pair, lyon, { verb: 'delete_group', groupId });
  await ask(pair, lyon, { verb: 'part_volumes', volumeId, pairId: paired!.pairId });
  for (const id of [volumeId, standing]) {
    await ask(pair, lyon, { verb: 'delete_volume', volumeId: id });
  }

  assert.deepEqual((await paris.app.showBothSites()).groups, []);
});

test('a first copy is paused before it is complete, and goes on', async (t) => {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const groupId = await grouped(pair);
  const stateNow = async () => (await paris.app.showGroup(groupId)).session?.state;
  await ask(pair, paris, { verb: 'replicate', groupId, peerId: lyon.id });
  paris.trouble.lostBefore.add('receivePoint');
  await paris.app.synchronizeGroup({ groupId });

  await ask(pair, paris, { verb: 'pause', groupId });
  assert.equal(await stateNow(), 'paused');
  await ask(pair, paris, { verb: 'pause', groupId });
  assert.equal(await stateNow(), 'paused');

  paris.trouble.lostBefore.clear();
  await ask(pair, paris, { verb: 'replicate', groupId, peerId: lyon.id });
  assert.equal(await stateNow(), 'ok');
});

test('what was paused while the other site was silent goes on at both', async (t) => {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { groupId } = await replicated(pair);
  paris.trouble.down = true;
  await ask(pair, paris, { verb: 'pause', groupId });
  paris.trouble.down = false;

  await ask(pair, paris, { verb: 'replicate', groupId, peerId: lyon.id });

  const states = [paris, lyon].map(async (s) => (await s.app.showGroup(groupId)).session?.state);
  assert.deepEqual(await Promise.all(states), ['ok', 'ok']);
});
