/** Volumes, and hosts that write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BothSites } from './contract-sites.ts';
import {
  BLOCK_BYTES,
  HOST,
  MIB,
  PAUSE_LIMIT_MS,
  asHost,
  newPoint,
  newVolume,
  refusal,
  servedGroup,
  tagsOf,
  writeBlocks,
} from './contract-group.ts';

export function presentsContract(both: BothSites): void {
  test('a new volume reads as zeros, and keeps what a host writes', async () => {
    const { a } = both();
    const { served } = await servedGroup(a);

    await asHost(a, served, 'data', async (volume) => {
      assert.deepEqual(await tagsOf(volume, [0, 7]), [0, 0]);
      await writeBlocks(volume, [7], 3);
    });

    assert.deepEqual(await asHost(a, served, 'data', (v) => tagsOf(v, [0, 7])), [0, 3]);
  });

  test('a volume joins while the others are served, and appears with the next serve', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);

    await a.engine.createVolume(groupId, newVolume('late'));
    await a.engine.createVolume(groupId, newVolume('later'));
    const again = await a.engine.serve(groupId, { hosts: [HOST] });

    assert.deepEqual(
      again.exports.map(({ exportName }) => exportName),
      ['data', 'log', 'late', 'later'],
    );
    await writeBlocks(host, [1], 1);
    await asHost(a, again, 'late', (volume) => writeBlocks(volume, [1], 1));
    await host.disconnect();
  });

  test('a host that is not named cannot attach, and one that is taken off is parted', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    await assert.rejects(a.attach(served, 'data', 'stranger'));
    const host = await a.attach(served, 'data', HOST);

    await a.engine.serve(groupId, { hosts: ['app2'] });

    await host.ended;
    await assert.rejects(a.attach(served, 'data', HOST));
    await (await a.attach(served, 'data', 'app2')).disconnect();
  });

  test('serving again changes nothing for hosts that are attached', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);

    await a.engine.serve(groupId, { hosts: [HOST, 'app2'] });
    await a.restartControl();
    await a.engine.serve(groupId, { hosts: [HOST, 'app2'] });

    await writeBlocks(host, [1], 5);
    assert.deepEqual(await tagsOf(host, [1]), [5]);
    await host.disconnect();
  });

  test('a fence parts every host, and what was acknowledged is kept', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);
    // Not flushed: an acknowledged write is enough.
    await host.write(3 * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, 9));

    await a.engine.fence(groupId);
    await host.ended;
    await a.engine.fence(groupId);
    await assert.rejects(a.attach(served, 'data', HOST));
    assert.equal((await a.engine.inspect(groupId)).serving, false);
    await a.killDataPlane(groupId);

    const again = await a.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [3])), [9]);
  });

  test('a data plane that died is started again by serve, with what was flushed', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    await asHost(a, served, 'data', (volume) => writeBlocks(volume, [1, 2], 4));
    const before = await a.engine.inspect(groupId);

    await a.killDataPlane(groupId);
    const dead = await a.engine.inspect(groupId);
    const again = await a.engine.serve(groupId, { hosts: [HOST] });

    assert.deepEqual([before.dataPlane, before.serving], ['running', true]);
    assert.deepEqual([dead.dataPlane, dead.serving, dead.hasPresent], ['stopped', false, true]);
    assert.equal(again.port, served.port);
    assert.notEqual((await a.engine.inspect(groupId)).instance, before.instance);
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [1, 2])), [4, 4]);
  });

  test('a volume grows, and its hosts find it larger when they are back', async () => {
    const { a } = both();
    const { groupId, volumes, served } = await servedGroup(a);
    const [data] = volumes;
    await asHost(a, served, 'data', (volume) => writeBlocks(volume, [1], 6));

    await a.engine.resizeVolume(groupId, data!.volumeId, 80 * MIB);
    await a.engine.resizeVolume(groupId, data!.volumeId, 80 * MIB);

    await asHost(a, served, 'data', async (volume) => {
      assert.equal(volume.info.sizeBytes, 80 * MIB);
      assert.deepEqual(await tagsOf(volume, [1, 70 * 256]), [6, 0]);
      await writeBlocks(volume, [70 * 256], 7);
    });
    await assert.rejects(
      a.engine.resizeVolume(groupId, data!.volumeId, 64 * MIB),
      refusal('invalid'),
    );
  });

  test('a deleted volume is gone with its bytes, and the others go on', async () => {
    const { a } = both();
    const { groupId, volumes, served } = await servedGroup(a);
    await a.engine.sealPoint(groupId, newPoint(), PAUSE_LIMIT_MS);
    const host = await a.attach(served, 'log', HOST);

    await a.engine.deleteVolume(groupId, volumes[0]!.volumeId);
    await a.engine.deleteVolume(groupId, volumes[0]!.volumeId);

    await assert.rejects(a.attach(served, 'data', HOST));
    await writeBlocks(host, [1], 1);
    await host.disconnect();
    const { volumes: left } = await a.engine.inspect(groupId);
    assert.deepEqual(
      left.map(({ volumeId }) => volumeId),
      [volumes[1]!.volumeId],
    );
  });

  test('a volume moves to another group with its bytes', async () => {
    const { a } = both();
    const from = await servedGroup(a);
    const to = await servedGroup(a, ['other']);
    await asHost(a, from.served, 'data', (volume) => writeBlocks(volume, [1], 8));
    await a.engine.sealPoint(from.groupId, newPoint(), PAUSE_LIMIT_MS);
    await asHost(a, from.served, 'data', (volume) => writeBlocks(volume, [2], 9));

    for (let round = 0; round < 2; round += 1) {
      await a.engine.moveVolume(from.volumes[0]!.volumeId, from.groupId, to.groupId);
    }

    const served = await a.engine.serve(to.groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(a, served, 'data', (v) => tagsOf(v, [1, 2])), [8, 9]);
    await assert.rejects(a.attach(from.served, 'data', HOST));
    await asHost(a, from.served, 'log', (volume) => writeBlocks(volume, [1], 1));
  });

  test('a deleted group is gone, and deleting it again does nothing', async () => {
    const { a } = both();
    const { groupId } = await servedGroup(a);
    assert.ok((await a.engine.groups()).includes(groupId));

    await a.engine.deleteGroup(groupId);
    await a.engine.deleteGroup(groupId);

    assert.ok(!(await a.engine.groups()).includes(groupId));
    assert.equal((await a.engine.inspect(groupId)).dataPlane, 'stopped');
  });

  test('a stopped group is served again with all its bytes', async () => {
    const { a } = both();
    const { groupId, served } = await servedGroup(a);
    const host = await a.attach(served, 'data', HOST);
    await host.write(0, Buffer.alloc(BLOCK_BYTES, 2));

    await a.engine.stop(groupId);
    await a.engine.stop(groupId);

    assert.equal((await a.engine.inspect(groupId)).dataPlane, 'stopped');
    const again = await a.engine.serve(groupId, { hosts: [HOST] });
    assert.deepEqual(await asHost(a, again, 'data', (v) => tagsOf(v, [0])), [2]);
  });
}
