import assert from 'node:assert/strict';
import test from 'node:test';
import { assertNothingLost, moreWrites, twoSites } from '../../support/two-sites.ts';
import type { Scope } from '../../support/two-sites.ts';
import { describedSite, ExtensionClient } from './extension-client.ts';

const MIB = 1024 * 1024;

test('a group is in sync in real time, and reversed there and back under writes; none is lost', async (t) => {
  const { sites, here, there, id } = await orders(t);
  const writer = await sites.startWriter({ volumes: ['data'], spanBytes: 64 * MIB });
  await moreWrites(writer, 100);

  await refusedWithoutChange(here, id, ['reverse', 'failover', 'reprotect']);
  await here.done(id, 'sync');
  await there.groupIs(id, { replication_status: 'active' });
  for (const zone of ['lyon', 'paris']) {
    await here.done(id, 'reverse');
    for (const endpoint of [here, there]) {
      await endpoint.groupIs(id, {
        status: 'available',
        replication_status: 'active',
        priority_station: zone,
      });
    }
    await moreWrites(writer, 100);
  }
  await here.done(id, 'stop');
  for (const endpoint of [here, there]) {
    await endpoint.groupIs(id, { status: 'available', replication_status: 'active-stopped' });
  }
  await moreWrites(writer, 100);
  await there.done(id, 'sync');
  await here.groupIs(id, { status: 'available', replication_status: 'active' });

  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

test('a production zone that is lost in sync is failed over, and no acknowledged write is missing', async (t) => {
  const { sites, here, there, id } = await orders(t);
  const { paris, lyon } = sites;
  await here.done(id, 'sync');
  const writer = await sites.startWriter({ volumes: ['data'], spanBytes: 64 * MIB });
  await there.groupIs(id, { replication_status: 'active' });
  await moreWrites(writer, 200);
  const pid = await paris.daemonPid('orders');
  await paris.killControl();
  process.kill(pid, 'SIGKILL');

  await there.groupIs(id, { fault_level: '2', replication_status: 'inactive' });
  await there.done(id, 'failover');
  await there.groupIs(id, {
    status: 'failovered',
    replication_status: 'active-stopped',
    priority_station: 'lyon',
  });
  assertNothingLost(await sites.verify(writer, 'acknowledged'));

  await paris.startControl();
  await there.groupIs(id, { fault_level: '0' });
  await there.done(id, 'reprotect');
  await here.groupIs(id, { status: 'available', replication_status: 'active' });
  assert.equal(await lyon.roleOf('orders'), 'source');
});

test('a zone lost while its group was stopped is failed over from one instant of its disks', async (t) => {
  const { sites, here, there, id } = await orders(t);
  const { paris, lyon } = sites;
  await here.done(id, 'sync');
  await there.groupIs(id, { replication_status: 'active' });
  const writer = await sites.startWriter({ volumes: ['data'], spanBytes: 64 * MIB });
  await moreWrites(writer, 100);
  const before = writer.mark();
  await paris.synchronize('orders');
  await here.done(id, 'stop');
  const after = writer.mark();
  await moreWrites(writer, 100);
  await paris.killDaemon('orders');
  await paris.killControl();
  await writer.stop();

  await there.groupIs(id, { fault_level: '2', replication_status: 'inactive' });
  await refusedWithoutChange(there, id, ['reverse', 'reprotect']);
  await there.done(id, 'failover');
  await there.groupIs(id, {
    status: 'failovered',
    replication_status: 'active-stopped',
    priority_station: 'lyon',
  });
  await refusedWithoutChange(there, id, ['reverse', 'failover', 'reprotect']);
  const cut = await writer.verifyCut((label) => sites.connect(lyon, label), {
    after: before,
    before: after,
  });
  assert.ok(cut.consistent, JSON.stringify(cut));

  await paris.startControl();
  await there.groupIs(id, { fault_level: '0' });
  await there.done(id, 'reprotect');
  await here.groupIs(id, { status: 'available', replication_status: 'active' });
  assert.equal(await lyon.roleOf('orders'), 'source');
});

test('a group is stopped, emptied and deleted in the order of the known Terraform resource', async (t) => {
  const { sites, here, disks, pair, id } = await orders(t);
  await sites.paris.unmap('orders', 'app1');
  const group = `os-vendor-replication-consistency-groups/${id}`;
  await here.done(id, 'sync');

  await here.done(id, 'stop');
  const remove = { replication_consistency_group: { remove_replication_ids: [pair] } };
  assert.equal((await here.ask('PUT', group, remove)).status, 202);
  await here.groupIs(id, { status: 'available' });
  assert.equal((await here.ask('DELETE', group)).status, 202);
  await here.gone(group);
  assert.equal((await here.ask('DELETE', `os-vendor-replications/${pair}`)).status, 202);
  await here.gone(`os-vendor-replications/${pair}`);
  for (const disk of disks) {
    assert.equal((await here.ask('DELETE', `volumes/${disk}`)).status, 202);
    await here.gone(`volumes/${disk}`);
  }
});

/** One pair in a group, mapped to a host, not synchronized yet. All of it made at Paris's endpoint. */
async function orders(t: Scope) {
  const sites = await twoSites(t);
  const here = await ExtensionClient.signIn(describedSite(sites.dir, 'paris'));
  const there = await ExtensionClient.signIn(describedSite(sites.dir, 'lyon'));
  const disks = [await here.createDisk('data', 'paris'), await here.createDisk('data-dr', 'lyon')];
  const pair = await here.createPair(disks, 'paris');
  const id = await here.createGroup('orders', [pair], 'paris');
  await sites.paris.map('orders', 'app1');
  return { sites, here, there, disks, pair, id };
}

async function refusedWithoutChange(
  client: ExtensionClient,
  id: string,
  verbs: readonly string[],
): Promise<void> {
  for (const verb of verbs) {
    const before = await client.picture();
    const { status, text } = await client.act(id, verb);
    assert.equal(status, 409, `${verb}: ${text}`);
    assert.match(text, /conflictingRequest/);
    assert.equal(await client.picture(), before, `${verb} changed something`);
  }
}
