/** A volume that has left its group, and a failover to a point from before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SagaId } from '../../src/domain/ids.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemorySite } from '../support/memory-site.ts';

const MIB = 1024 * 1024;

test('a failover to a point from before a volume left its group does not bring it back', async (t) => {
  const { paris, lyon } = await memoryPair(t);
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  for (const name of ['data', 'log']) {
    await ended(paris, paris.app.createVolume({ name, sizeBytes: MIB, groupId }));
  }
  await ended(paris, paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
  await ended(paris, paris.app.synchronizeGroup({ groupId }));
  const [before] = await lyon.app.listPoints(groupId);
  const [data, log] = (await paris.app.showGroup(groupId)).volumes;
  assert.ok(before && data && log);
  await ended(paris, paris.app.removeVolume({ groupId, volumeId: log.id }));
  await ended(paris, paris.app.synchronizeGroup({ groupId }));

  const request = { groupId, pointId: before.id };
  const { confirmation } = await lyon.app.preflightFailover(request);
  await ended(lyon, lyon.app.failOverGroup({ ...request, confirmation }));

  const inStore = (await lyon.app.showGroup(groupId)).volumeIds;
  const inEngine = [...(lyon.engine.held(groupId)?.present?.keys() ?? [])];
  assert.deepEqual([inStore, inEngine], [[data.id], [data.id]]);
  // What the point has of it stays a part of the point.
  const hashes = await lyon.engine.hashPoint(groupId, before.id);
  assert.deepEqual(
    hashes.map(({ volumeId }) => volumeId),
    [data.id, log.id],
  );
});

async function ended(site: MemorySite, job: Promise<{ readonly jobId: SagaId }>): Promise<void> {
  const { state, outcome } = await site.ended((await job).jobId);
  assert.equal(state, 'done', outcome?.message ?? '');
}
