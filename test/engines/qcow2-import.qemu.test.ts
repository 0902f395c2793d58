/** An import at the data plane: real daemons, a real source, and a writer that is as fast as it can. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Failure } from '../../src/domain/refusal.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import { readingFile } from '../support/story-import.ts';
import { HOST } from './contract-group.ts';
import { CrashPoints } from './crash-points.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import {
  LIMIT_MS,
  PAUSE_LIMIT_MS,
  SIZE_BYTES,
  copyOnce,
  moreWrites,
  openImport,
} from './imported.ts';
import { twoSites } from './test-sites.ts';
import type { TestSite, TestSites } from './test-sites.ts';

const MIB = 1024 * 1024;

let sites: TestSites | undefined;
before(async () => (sites = await twoSites()));
after(() => sites?.close());
const site = (): TestSite => {
  assert.ok(sites);
  return sites.a;
};

const watch = { onProgress: () => undefined, signal: new AbortController().signal };

test('no acknowledged write is missing after a cut-over, however often the copies are compared', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer, connect } = await openImport(site(), 'compared');
  await importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  for (let times = 0; times < 3; times += 1) {
    await moreWrites(writer, 500);
    const { differing, comparedBytes } = await importer.compare(groupId, watch);
    assert.deepEqual([differing, comparedBytes], [[], SIZE_BYTES]);
  }

  const result = await importer.cutOver(groupId, PAUSE_LIMIT_MS);

  assert.equal(result.isCutOver, true);
  assert.deepEqual(await importer.cutOver(groupId, PAUSE_LIMIT_MS), {
    isCutOver: true,
    pauseMs: 0,
  });
  assert.equal((await importer.inspect(groupId)).stands, 'here');
  await source.server.end();
  await moreWrites(writer, 500);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  const found = await writer.verify(connect, 'acknowledged');
  assert.ok(found.ok, JSON.stringify(found));
  await assert.rejects(importer.abandon(groupId, { force: false }), Failure);
});

test('a cut-over that is repeated after it was switched and not recorded loses no write', async () => {
  const { groupId, writer, connect } = await openImport(site(), 'repeated');
  await site().engine.importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  await moreWrites(writer, 500);
  const crash = new CrashPoints();
  await site().restartControl(crash.records(site().records));
  crash.start({ at: 2, when: 'before' });
  await assert.rejects(site().engine.importer.cutOver(groupId, PAUSE_LIMIT_MS), /before 2/);
  await site().restartControl();
  await moreWrites(writer, 500);

  await assert.rejects(
    site().engine.importer.abandon(groupId, { force: false }),
    /hosts write our copies already; it can only be cut over/,
  );
  const { isCutOver } = await site().engine.importer.cutOver(groupId, PAUSE_LIMIT_MS);

  assert.equal(isCutOver, true);
  await moreWrites(writer, 500);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  const found = await writer.verify(connect, 'acknowledged');
  assert.ok(found.ok, JSON.stringify(found));
});

test('a source that dies in the instant of the cut-over does not hold it up: it has come about, or not', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer, connect } = await openImport(site(), 'died');
  await importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  await moreWrites(writer, 100);
  const dying = source.server.end('SIGKILL');

  const result = await waitUntil('it is settled', LIMIT_MS, async () =>
    importer.cutOver(groupId, PAUSE_LIMIT_MS).catch((error: unknown) => {
      if (!(error instanceof Failure)) throw error;
      return undefined;
    }),
  );

  await dying;
  await source.again();
  if (!result.isCutOver) {
    await waitUntil('it is cut over once the source is back', LIMIT_MS, async () => {
      await importer.copy(groupId, undefined);
      if ((await importer.inspect(groupId)).copy !== 'in_step') return undefined;
      return (await importer.cutOver(groupId, PAUSE_LIMIT_MS)).isCutOver ? true : undefined;
    });
  }
  await moreWrites(writer, 100);
  assert.deepEqual(writer.disconnected(), []);
  await writer.stop();
  const found = await writer.verify(connect, 'acknowledged');
  assert.ok(found.ok, JSON.stringify(found));
});

test('a copy that is abandoned in step leaves the source with every write, and its host there', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer } = await openImport(site(), 'abandoned');
  await importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  await moreWrites(writer, 500);

  await importer.abandon(groupId, { force: false });
  await importer.abandon(groupId, { force: false });

  await moreWrites(writer, 500);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  assert.equal((await importer.inspect(groupId)).copy, 'none');
  const found = await readingFile(source.file, (file) => writer.verify(() => file, 'acknowledged'));
  assert.ok(found.ok, JSON.stringify(found));
});

test('a copy is paused and goes on; it dies with its daemon and begins again', async () => {
  const { importer } = site().engine;
  const { groupId, writer, connect } = await openImport(site(), 'killed');
  await importer.copy(groupId, 2 * MIB);
  await importer.pause(groupId);
  await copyOnce(site(), groupId, 'paused');
  await moreWrites(writer, 100);
  await importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  await moreWrites(writer, 300);

  await site().killDataPlane(groupId);

  assert.equal((await importer.inspect(groupId)).copy, 'none');
  await site().engine.serve(groupId, { hosts: [HOST] });
  await importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  await moreWrites(writer, 300);
  assert.equal((await importer.cutOver(groupId, PAUSE_LIMIT_MS)).isCutOver, true);
  await moreWrites(writer, 300);
  await writer.stop();
  const found = await writer.verify(connect, 'acknowledged');
  assert.ok(found.ok, JSON.stringify(found));
});

test('a host that writes the source itself is found out by the comparison', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer } = await openImport(site(), 'forked');
  await importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  await writer.stop();
  const other = await connectNbd({ address: source.endpoint, exportName: '' });
  await other.write(8 * MIB, Buffer.alloc(4096, 9), { fua: true });
  await other.disconnect();

  const { hash, differing } = await importer.compare(groupId, watch);

  assert.equal(hash, undefined);
  assert.deepEqual(
    differing.map(({ offset, lengthBytes }) => [offset, lengthBytes]),
    [[8 * MIB, 4096]],
  );
});
