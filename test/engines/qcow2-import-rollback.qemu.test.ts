/** The way back after a cut-over: real daemons, a real source, and a writer that is as fast as it can. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { GroupId } from '../../src/domain/ids.ts';
import { Failure, Refusal } from '../../src/domain/refusal.ts';
import { linkCut } from '../../src/engines/link-cut.ts';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';
import type { Promised } from '../../src/main/verify-writes.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { KeptSource } from '../../src/ports/importer.ts';
import { readingFile } from '../support/story-import.ts';
import { daemonSource, singleSource } from '../support/story-source.ts';
import type { StorySource } from '../support/story-source.ts';
import { HOST } from './contract-group.ts';
import { CrashPoints } from './crash-points.ts';
import {
  LIMIT_MS,
  PAUSE_LIMIT_MS,
  SIZE_BYTES,
  copyOnce,
  moreWrites,
  openImport,
} from './imported.ts';
import type { Imported } from './imported.ts';
import { twoSites } from './test-sites.ts';
import type { TestSite, TestSites } from './test-sites.ts';

/** Longer than anybody would wait for an answer. */
const WATCHED_MS = 8000;

let sites: TestSites | undefined;
before(async () => (sites = await twoSites()));
after(() => sites?.close());
const site = (): TestSite => {
  assert.ok(sites);
  return sites.a;
};

/** Cut over under its writer; nothing has been written to the source since. */
async function cutOver(name: string, from?: StorySource): Promise<Imported> {
  const imported = await openImport(site(), name, { keepsSource: true, ...(from && { from }) });
  const { groupId, writer } = imported;
  const { importer } = site().engine;
  await importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  await moreWrites(writer, 500);
  if (from === undefined) {
    const { differing } = await importer.compare(groupId, {
      onProgress: () => undefined,
      signal: new AbortController().signal,
    });
    assert.deepEqual(differing, []);
  }
  assert.deepEqual((await importer.cutOver(groupId, PAUSE_LIMIT_MS)).isCutOver, true);
  await moreWrites(writer, 500);
  return imported;
}

/** One that is stopped, cut off and let go on. */
function sturdySource(): Promise<StorySource> {
  return daemonSource(join(site().directory, 'sources'), SIZE_BYTES);
}

/** As whoever keeps it does, until it is in step. */
function keptInStep(groupId: GroupId): Promise<KeptSource> {
  const { importer } = site().engine;
  return waitUntil('the source is in step', LIMIT_MS, async () => {
    const seen = await importer.inspectSource(groupId);
    if (seen?.state === 'in_step') return seen;
    if (seen?.state === 'none' || seen?.state === 'failed') {
      await importer.keepSource(groupId, undefined).catch((error: unknown) => {
        assert.ok(error instanceof Refusal || error instanceof Failure, String(error));
      });
    }
    return undefined;
  });
}

/** As a step that is repeated takes it. */
function failedOnly(error: unknown): undefined {
  if (!(error instanceof Failure)) throw error;
}

function assertNothingNoticed(writer: NumberedWriter): void {
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
}

async function assertSourceHasAll(
  { file }: StorySource,
  writer: NumberedWriter,
  promised: Promised = 'acknowledged',
): Promise<void> {
  const found = await readingFile(file, (reader) => writer.verify(() => reader, promised));
  assert.ok(found.ok, JSON.stringify(found));
}

test('hosts go back to their source through one connection, and it has every acknowledged write', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer } = await cutOver('back');
  await keptInStep(groupId);
  await moreWrites(writer, 500);

  const result = await importer.rollBack(groupId, PAUSE_LIMIT_MS);

  assert.equal(result.isRolledBack, true);
  await moreWrites(writer, 500);
  assert.equal((await importer.inspect(groupId)).stands, 'on_source');
  assert.equal((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack, true);
  assertNothingNoticed(writer);
  await writer.stop();
  await assertSourceHasAll(source, writer);
});

test('a source that is let go is not written any more, and the volume is whole', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer, connect } = await cutOver('let-go');
  await keptInStep(groupId);

  await importer.letGo(groupId);
  await importer.letGo(groupId);

  assert.equal(await importer.inspectSource(groupId), undefined);
  await source.server.end();
  await moreWrites(writer, 500);
  assertNothingNoticed(writer);
  assert.equal((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack, false);
  await site().engine.stop(groupId);
  await site().engine.serve(groupId, { hosts: [HOST] });
  await moreWrites(writer, 100);
  await writer.stop();
  const found = await writer.verify(connect, 'acknowledged');
  assert.ok(found.ok, JSON.stringify(found));
});

test('a source that was away is not in step until it has what was written meanwhile; hosts go on', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer } = await cutOver('away');
  await keptInStep(groupId);

  await source.server.end('SIGKILL');

  await moreWrites(writer, 500);
  const seen = await importer.inspectSource(groupId);
  assert.notEqual(seen?.state, 'in_step');
  const refused = await importer.rollBack(groupId, PAUSE_LIMIT_MS);
  assert.match(refused.isRolledBack ? '' : refused.why, /not in step/);
  await source.again();
  const { isWhole } = await keptInStep(groupId);
  assert.equal(isWhole, false);
  assert.equal((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack, true);
  await moreWrites(writer, 100);
  assertNothingNoticed(writer);
  await writer.stop();
  await assertSourceHasAll(source, writer);
});

test('a source that takes one connection at a time stays in step as long as it is there', async () => {
  const { importer } = site().engine;
  const single = await singleSource(join(site().directory, 'sources'), SIZE_BYTES);
  const { groupId, writer } = await cutOver('single', single);
  await keptInStep(groupId);
  const until = performance.now() + WATCHED_MS;

  await waitUntil('it was looked at for a while', LIMIT_MS, async () => {
    assert.equal((await importer.inspectSource(groupId))?.state, 'in_step');
    return performance.now() > until ? true : undefined;
  });

  await moreWrites(writer, 100);
  assert.equal((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack, true);
  assertNothingNoticed(writer);
  await writer.stop();
  await assertSourceHasAll(single, writer);
});

test('a source that falls silent holds its host for seconds, not for ever', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer } = await cutOver('silent', await sturdySource());
  await keptInStep(groupId);

  process.kill(source.server.pid, 'SIGSTOP');

  await waitUntil('it is parted from', LIMIT_MS, async () =>
    (await importer.inspectSource(groupId))?.state === 'failed' ? true : undefined,
  );
  await moreWrites(writer, 300);
  process.kill(source.server.pid, 'SIGCONT');
  await keptInStep(groupId);
  assert.equal((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack, true);
  await moreWrites(writer, 100);
  assertNothingNoticed(writer);
  await writer.stop();
  await assertSourceHasAll(source, writer);
});

test('a source that falls silent in the instant of the way back leaves hosts here, and it is said', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer } = await cutOver('stuck', await sturdySource());
  await keptInStep(groupId);
  await moreWrites(writer, 100);
  const { instance } = await site().engine.inspect(groupId);
  process.kill(source.server.pid, 'SIGSTOP');

  const result = await waitUntil('it is settled', LIMIT_MS, async () =>
    importer.rollBack(groupId, PAUSE_LIMIT_MS).catch(failedOnly),
  );

  assert.equal(result.isRolledBack, false);
  // A daemon that waited on after its source was cut off was ended: hosts come back to another one.
  await site().engine.serve(groupId, { hosts: [HOST] });
  const isSame = (await site().engine.inspect(groupId)).instance === instance;
  await moreWrites(writer, 300);
  process.kill(source.server.pid, 'SIGCONT');
  await keptInStep(groupId);
  assert.equal((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack, true);
  await moreWrites(writer, 100);
  assertNothingNoticed(writer);
  await writer.stop();
  await assertSourceHasAll(source, writer, isSame ? 'acknowledged' : 'flushed');
});

test('where a silent source cannot be cut off, a way back that gets stuck ends with the data plane; hosts stay here', async (t) => {
  t.mock.method(linkCut, 'cutConnections', () => Promise.resolve(0));
  const { importer } = site().engine;
  const { groupId, source, writer, connect } = await cutOver('uncut', await sturdySource());
  await keptInStep(groupId);
  await moreWrites(writer, 100);
  process.kill(source.server.pid, 'SIGSTOP');

  const result = await waitUntil('it is settled', LIMIT_MS, async () =>
    importer.rollBack(groupId, PAUSE_LIMIT_MS).catch(failedOnly),
  );

  assert.equal(result.isRolledBack, false);
  process.kill(source.server.pid, 'SIGCONT');
  await site().engine.serve(groupId, { hosts: [HOST] });
  await moreWrites(writer, 300);
  await writer.stop();
  const found = await writer.verify(connect, 'flushed');
  assert.ok(found.ok, JSON.stringify(found));
});

test('what hosts wrote here after a way back got stuck is not lost when their data plane dies then', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer, connect } = await cutOver(
    'stuck-and-killed',
    await sturdySource(),
  );
  await keptInStep(groupId);
  process.kill(source.server.pid, 'SIGSTOP');
  await assert.rejects(importer.rollBack(groupId, PAUSE_LIMIT_MS), Failure);
  await moreWrites(writer, 300);

  await site().killDataPlane(groupId);
  process.kill(source.server.pid, 'SIGCONT');

  assert.equal((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack, false);
  await site().engine.serve(groupId, { hosts: [HOST] });
  await moreWrites(writer, 100);
  await writer.stop();
  const found = await writer.verify(connect, 'flushed');
  assert.ok(found.ok, JSON.stringify(found));
});

test('after a crash of the data plane the source gets all there is, and nothing that hosts do not see', async () => {
  const { importer } = site().engine;
  const { groupId, source, writer, connect } = await cutOver('crashed');
  await keptInStep(groupId);

  await site().killDataPlane(groupId);

  assert.equal((await importer.inspectSource(groupId))?.state, 'none');
  await site().engine.serve(groupId, { hosts: [HOST] });
  const { isWhole } = await keptInStep(groupId);
  assert.equal(isWhole, true);
  await moreWrites(writer, 300);
  await writer.stop();
  const found = await writer.verify(connect, 'flushed');
  assert.ok(found.ok, JSON.stringify(found));
  const host = await connect();
  const seen = await host.read(0, SIZE_BYTES);
  await host.disconnect();
  assert.equal((await importer.rollBack(groupId, PAUSE_LIMIT_MS)).isRolledBack, true);
  assert.ok(seen.equals(await readFile(source.file)));
});

test('a way back that was switched and not recorded is taken to its end', async () => {
  const { groupId, source, writer } = await cutOver('repeated');
  await keptInStep(groupId);
  const crash = new CrashPoints();
  await site().restartControl(crash.records(site().records));
  crash.start({ at: 2, when: 'before' });
  await assert.rejects(site().engine.importer.rollBack(groupId, PAUSE_LIMIT_MS), /before 2/);
  await site().restartControl();
  await moreWrites(writer, 300);

  const result = await site().engine.importer.rollBack(groupId, PAUSE_LIMIT_MS);

  assert.equal(result.isRolledBack && result.isCertain, true);
  await moreWrites(writer, 300);
  assertNothingNoticed(writer);
  await writer.stop();
  await assertSourceHasAll(source, writer);
});

test('a data plane that dies in the instant of the way back leaves the source, which has every write', async () => {
  const { groupId, source, writer } = await cutOver('uncertain');
  await keptInStep(groupId);
  const crash = new CrashPoints();
  await site().restartControl(crash.records(site().records));
  crash.start({ at: 2, when: 'before' });
  await assert.rejects(site().engine.importer.rollBack(groupId, PAUSE_LIMIT_MS), /before 2/);
  await moreWrites(writer, 300);
  await site().killDataPlane(groupId);
  await site().restartControl();
  await assert.rejects(site().engine.serve(groupId, { hosts: [HOST] }), /being taken back/);

  const result = await site().engine.importer.rollBack(groupId, PAUSE_LIMIT_MS);

  assert.equal(result.isRolledBack && !result.isCertain, true);
  await site().engine.serve(groupId, { hosts: [HOST] });
  await moreWrites(writer, 300);
  await writer.stop();
  await assertSourceHasAll(source, writer);
});

test('a cut-over that was switched and not recorded leaves a way back, too', async () => {
  const { groupId, source, writer } = await openImport(site(), 'cut', { keepsSource: true });
  await site().engine.importer.copy(groupId, undefined);
  await copyOnce(site(), groupId, 'in_step');
  const crash = new CrashPoints();
  await site().restartControl(crash.records(site().records));
  crash.start({ at: 2, when: 'before' });
  await assert.rejects(site().engine.importer.cutOver(groupId, PAUSE_LIMIT_MS), /before 2/);
  await site().restartControl();
  await moreWrites(writer, 300);
  assert.equal((await site().engine.importer.cutOver(groupId, PAUSE_LIMIT_MS)).isCutOver, true);
  await moreWrites(writer, 300);
  await keptInStep(groupId);

  const result = await site().engine.importer.rollBack(groupId, PAUSE_LIMIT_MS);

  assert.equal(result.isRolledBack, true);
  await moreWrites(writer, 100);
  assertNothingNoticed(writer);
  await writer.stop();
  await assertSourceHasAll(source, writer);
});
