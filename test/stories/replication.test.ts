import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { setTimeout as passes } from 'node:timers/promises';
import type { CycleAnswer } from '../support/native-answers.ts';
import { openNewestPoint } from '../support/story-point.ts';
import { ProblemAnswer } from '../../src/cli/native-client.ts';
import { assertHostsNeverStalled, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const BLOCK_BYTES = 4096;

const sites = await twoSites({ after });
const { paris, lyon } = sites;

test('cycles start so that the newest complete point is never older than the RPO', async (t) => {
  const rpoSeconds = 5;
  await sites.protect('orders', { rpoSeconds });
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  const ages: number[] = [];
  const points = new Set<string>();

  while (points.size < 6) {
    const askedAt = Date.now();
    const { newestPoint, rpoMet } = await lyon.session('orders');
    ages.push(askedAt - Date.parse(newestPoint?.sealedAt ?? ''));
    assert.ok(rpoMet);
    points.add(newestPoint?.id ?? '');
    await passes(50);
  }

  const oldestMs = Math.max(...ages);
  t.diagnostic(`the newest point was at most ${oldestMs} ms old`);
  assert.ok(oldestMs <= rpoSeconds * 1000, `${oldestMs} ms`);
  assert.ok(oldestMs > rpoSeconds * 500, 'cycles do not follow each other for nothing');
  assertHostsNeverStalled(writer);
  await writer.stop();
});

test('a cycle sends exactly the blocks that were written since, and says why', async () => {
  await sites.protect('ledger');
  const first = (await paris.session('ledger')).lastCycle;
  assert.deepEqual([first?.kind, first?.why, first?.sentBytes], ['full', 'first copy', 0]);
  const host = await sites.connect(paris, 'ledger-1');
  const other = await sites.connect(paris, 'ledger-2');
  const write = (block: number, fill: number) =>
    host.write(block * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, fill));
  const cycle = async (): Promise<CycleAnswer | undefined> =>
    (await paris.synchronize('ledger')).lastCycle;

  // Scattered blocks on both volumes, one of them written three times, and a part of a block.
  for (let block = 0; block < 100; block += 1) await write(block * 97, 1);
  for (let again = 2; again < 5; again += 1) await write(97, again);
  await other.write(512, Buffer.alloc(512, 7));
  const second = await cycle();
  assert.equal(second?.kind, 'delta');
  assert.match(second.why, /^changes since point 1$/);
  assert.equal(second.sentBytes, 101 * BLOCK_BYTES);

  assert.equal((await cycle())?.sentBytes, 0);

  await write(5, 9);
  assert.equal((await cycle())?.sentBytes, BLOCK_BYTES);

  const { newestPoint } = await paris.session('ledger');
  const id = newestPoint?.id ?? '';
  assert.deepEqual(await lyon.hashes('ledger', id), await paris.hashes('ledger', id));
  await Promise.all([host.disconnect(), other.disconnect()]);
});

test('a point is one instant of all volumes, while hosts write', async () => {
  const volumes = volumesOf('stock', 3);
  await sites.protect('stock', { volumes: 3 });
  const writer = await sites.startWriter({ volumes, writesPerSecond: 3000 });

  for (let points = 0; points < 3; points += 1) {
    await moreWrites(writer, 1000);
    const begun = writer.mark();
    await paris.synchronize('stock');
    const ended = writer.mark();

    const open = await Promise.all(
      volumes.map((volume) => openNewestPoint(sites.dir, lyon, 'stock', volume)),
    );
    const readerOf = (label: string) => {
      const connection = open[volumes.indexOf(label)];
      assert.ok(connection);
      return connection;
    };
    const cut = await writer.verifyCut(readerOf, { after: begun, before: ended });
    await Promise.all(open.map((c) => c.disconnect()));
    assert.ok(cut.consistent, JSON.stringify(cut));
    assert.ok(cut.newestSequence > 0);
  }

  assert.equal(writer.serverErrors(), 0);
  await writer.stop();
});

test('a paused session sends nothing, and all of it as one delta when it is resumed', async () => {
  await sites.protect('cash', { rpoSeconds: 5 });
  const host = await sites.connect(paris, 'cash-1');
  await paris.command('cash', 'pause');
  await paris.sessionOnce('cash', 'paused', (s) => s.state === 'paused' && !s.cycle);
  const before = (await lyon.session('cash')).newestPoint;
  for (let block = 0; block < 50; block += 1) {
    await host.write(block * MIB, Buffer.alloc(BLOCK_BYTES, 3));
  }
  await paris.sessionOnce('cash', 'the RPO has run out', (s) => !s.rpoMet);
  assert.deepEqual((await lyon.session('cash')).newestPoint, before);

  await paris.command('cash', 'resume');

  const { lastCycle } = await paris.sessionOnce(
    'cash',
    'what was written meanwhile is there',
    (s) => s.state === 'ok' && s.rpoMet,
  );
  assert.deepEqual([lastCycle?.kind, lastCycle?.sentBytes], ['delta', 50 * BLOCK_BYTES]);
  await host.disconnect();
});

test('a copy that was kept makes a later session a delta; one that was discarded does not', async () => {
  await sites.protect('parts');
  const host = await sites.connect(paris, 'parts-1');
  const write = (block: number) => host.write(block * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, 1));
  for (let block = 0; block < 100; block += 1) await write(block);
  await paris.synchronize('parts');
  const end = { method: 'DELETE', path: '/groups/parts/session' } as const;

  await paris.carryOut(end);
  assert.equal((await lyon.group('parts')).holder.name, 'paris');
  await write(7);
  const again = await paris.protect('parts', lyon, 3600);

  assert.deepEqual([again.lastCycle?.kind, again.lastCycle?.sentBytes], ['delta', BLOCK_BYTES]);

  const seen = { path: `${end.path}/preflight`, body: { discardCopy: true } };
  const { confirmation } = await paris.ask<{ confirmation: string }>({ method: 'POST', ...seen });
  const query = `discardCopy=true&confirmation=${confirmation}`;
  await paris.carryOut({ ...end, path: `${end.path}?${query}` });
  await assert.rejects(lyon.group('parts'), ProblemAnswer);
  const anew = await paris.protect('parts', lyon, 3600);

  assert.deepEqual([anew.lastCycle?.kind, anew.lastCycle?.why], ['full', 'first copy']);
  assert.ok((anew.lastCycle?.sentBytes ?? 0) >= 100 * BLOCK_BYTES);
  await host.disconnect();
});
