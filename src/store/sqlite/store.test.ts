import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { SmallDisk, whyNoDisk } from '../../../test/support/story-disk.ts';
import { newId } from '../../domain/ids.ts';
import type { GroupId, HostId } from '../../domain/ids.ts';
import { Failure, Refusal } from '../../domain/refusal.ts';
import type { Host } from '../../domain/host.ts';
import type { Clock } from '../../ports/clock.ts';
import { openSqliteStore } from './store.ts';

const MIB = 1024 * 1024;

const clock: Clock = {
  now: Date.now,
  monotonicMs: () => performance.now(),
  sleep: async () => undefined,
};

async function storeFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-store-'));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, 'site.sqlite');
}

const host = (name: string): Host => ({ id: newId<HostId>(), name, createdAt: 1 });

test('what a transaction did is there after the store is opened again', async (t) => {
  const file = await storeFile(t);
  const row = host('app1');
  const first = openSqliteStore(file, clock);
  await first.transaction((tx) => tx.hosts.insert(row));
  await first.close();

  const second = openSqliteStore(file, clock);
  t.after(() => second.close());
  assert.deepEqual(await second.read((tx) => tx.hosts.all()), [row]);
});

test('a transaction that throws changes nothing and leaves no event', async (t) => {
  const store = openSqliteStore(await storeFile(t), clock);
  t.after(() => store.close());
  let commits = 0;
  store.onCommit(() => (commits += 1));

  const work = store.transaction(async (tx) => {
    await tx.hosts.insert(host('app1'));
    throw new Error('no');
  });

  await assert.rejects(work, /^Error: no$/);
  assert.deepEqual(await store.read((tx) => tx.hosts.all()), []);
  assert.deepEqual(await store.eventsAfter(0, 10), []);
  assert.equal(commits, 0);
});

test(
  'on a full disk a change is refused in words and leaves nothing; with room it is taken',
  { skip: whyNoDisk },
  async (t) => {
    const directory = join(dirname(await storeFile(t)), 'disk');
    const disk = new SmallDisk(16 * MIB);
    await disk.mountAt(directory);
    const store = openSqliteStore(join(directory, 'site.sqlite'), clock);
    try {
      const first = host('app1');
      await store.transaction((tx) => tx.hosts.insert(first));
      await disk.leaveFree(0);
      const more = Array.from({ length: 2000 }, (_, index) => host(`more${index}`));
      const insertMore = (): Promise<void> =>
        store.transaction(async (tx) => {
          for (const one of more) await tx.hosts.insert(one);
        });
      const record = (): Promise<void> =>
        store.engineRecords.write(newId<GroupId>(), 'x'.repeat(2 * MIB));
      const isInWords = (e: unknown): boolean =>
        e instanceof Failure && e.message.includes('disk is full');

      await assert.rejects(insertMore, isInWords);
      await assert.rejects(record, isInWords);

      assert.deepEqual(await store.read((tx) => tx.hosts.all()), [first]);
      await disk.makeRoom();
      await insertMore();
      await record();
      assert.equal((await store.read((tx) => tx.hosts.all())).length, 1 + more.length);
    } finally {
      await store.close();
      await disk.unmount();
    }
  },
);

test('a change is an event with the row after it; an equal row is none', async (t) => {
  const store = openSqliteStore(await storeFile(t), clock);
  t.after(() => store.close());
  const row = await store.transaction((tx) => tx.hosts.insert(host('app1')));

  await store.transaction((tx) => tx.hosts.change(row.id, (h) => ({ ...h, createdAt: 2 })));
  await store.transaction((tx) => tx.hosts.change(row.id, (h) => ({ ...h })));
  await store.transaction((tx) => tx.hosts.remove(row.id));

  const events = await store.eventsAfter(0, 10);
  assert.deepEqual(
    events.map((e) => [e.collection, e.change, (e.row as Host | undefined)?.createdAt]),
    [
      ['hosts', 'inserted', 1],
      ['hosts', 'changed', 2],
      ['hosts', 'removed', undefined],
    ],
  );
});

test('transactions that overlap take turns, and none is lost', async (t) => {
  const store = openSqliteStore(await storeFile(t), clock);
  t.after(() => store.close());
  const row = await store.transaction((tx) => tx.hosts.insert(host('app1')));

  const raise = (): Promise<unknown> =>
    store.transaction(async (tx) => {
      const { createdAt } = await tx.hosts.need(row.id);
      await Promise.resolve();
      return tx.hosts.change(row.id, (h) => ({ ...h, createdAt: createdAt + 1 }));
    });
  await Promise.all(Array.from({ length: 50 }, raise));

  assert.equal((await store.read((tx) => tx.hosts.need(row.id))).createdAt, 51);
});

test('a second process on the same store is refused in words', async (t) => {
  const file = await storeFile(t);
  const store = openSqliteStore(file, clock);
  t.after(() => store.close());
  await store.transaction((tx) => tx.hosts.insert(host('app1')));

  assert.throws(() => openSqliteStore(file, clock), /only one server may run on it/);
});

test('rows are found by their members, an absent member included', async (t) => {
  const store = openSqliteStore(await storeFile(t), clock);
  t.after(() => store.close());
  const a = host('a');
  await store.transaction(async (tx) => {
    await tx.hosts.insert(a);
    await tx.hosts.insert(host('b'));
  });

  assert.deepEqual(await store.read((tx) => tx.hosts.where({ name: 'a' })), [a]);
  await assert.rejects(
    store.read((tx) => tx.hosts.need(newId())),
    (error) => error instanceof Refusal && error.reason.code === 'not_found',
  );
});

test("an engine's record is the last one written, and gone when removed", async (t) => {
  const store = openSqliteStore(await storeFile(t), clock);
  t.after(() => store.close());
  const groupId = newId<GroupId>();

  await store.engineRecords.write(groupId, { layers: 1 });
  await store.engineRecords.write(groupId, { layers: 2 });
  assert.deepEqual(await store.engineRecords.read(groupId), { layers: 2 });
  assert.deepEqual(await store.engineRecords.list(), [groupId]);

  await store.engineRecords.remove(groupId);
  assert.equal(await store.engineRecords.read(groupId), undefined);
});
