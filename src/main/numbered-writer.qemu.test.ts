import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  serveRawFile,
  sparseFile,
  startNbdkit,
  startStorageDaemon,
  temporaryDirectory,
  waitFor,
} from '../../test/support/nbd-servers.ts';
import { connectNbd } from '../engines/nbd/connection.ts';
import { BLOCK_BYTES } from './numbered-block.ts';
import { startNumberedWriter } from './numbered-writer.ts';
import type { NumberedWriter } from './numbered-writer.ts';

const sizeBytes = 16 * 1024 * 1024;

/** Volumes as raw files, each behind a daemon of its own that may be started and killed again. */
async function volumes(...labels: readonly string[]) {
  const directory = await temporaryDirectory();
  const sockets = new Map<string, string>();
  const fileOf = (label: string): string => join(directory, `${label}.raw`);
  const serve = async (label: string, name = label) => {
    const socketPath = join(directory, `${name}-${sockets.size}.sock`);
    const daemon = await startStorageDaemon(
      directory,
      serveRawFile(fileOf(name), socketPath, label),
    );
    sockets.set(label, socketPath);
    return daemon;
  };
  const connect = (label: string) =>
    connectNbd({ address: { socketPath: sockets.get(label) ?? '' }, exportName: label });
  for (const label of labels) await sparseFile(fileOf(label), sizeBytes);
  return { serve, connect, fileOf, labels: labels.map((label) => ({ label, sizeBytes })) };
}

function acknowledged(writer: NumberedWriter, count: number): Promise<void> {
  const goal = writer.counts().acknowledged + count;
  return waitFor(`${count} more writes`, () => writer.counts().acknowledged >= goal);
}

test('all that was acknowledged is found, at the rate that was asked for', async () => {
  const { serve, connect, labels } = await volumes('data', 'journal');
  await serve('data');
  await serve('journal');
  const startedAtMs = performance.now();
  const writer = await startNumberedWriter({
    ...{ volumes: labels, connect, seed: 1 },
    ...{ queueDepth: 4, writesPerSecond: 2000, flushEvery: 50 },
  });

  await acknowledged(writer, 1000);
  const tookMs = performance.now() - startedAtMs;
  const counts = await writer.stop();

  const result = await writer.verify(connect, 'acknowledged');
  assert.equal(result.ok, true, JSON.stringify(result));
  assert.ok(tookMs > 450, `1,000 writes took ${tookMs} ms`);
  assert.equal(counts.acknowledged, counts.issued);
  assert.equal(counts.flushed, counts.issued);
  assert.equal(result.newestSequence, counts.issued);
  assert.equal((await writer.verifyCut(connect)).consistent, true);
  assert.deepEqual(await writer.stop(), counts);
});

test('a lost, a torn and a misplaced block are found', async () => {
  const { serve, connect, labels } = await volumes('data');
  await serve('data');
  const writer = await startNumberedWriter({ volumes: labels, connect, seed: 2, flushEvery: 20 });
  await acknowledged(writer, 300);
  await writer.stop();
  const [lost, torn, misplaced] = writer.log.blocks(0).keys();
  assert.ok(lost !== undefined && torn !== undefined && misplaced !== undefined);
  const nbd = await connect('data');
  const other = await nbd.read(torn * BLOCK_BYTES, BLOCK_BYTES);

  await nbd.writeZeroes(lost * BLOCK_BYTES, BLOCK_BYTES);
  await nbd.write(torn * BLOCK_BYTES + 1024, Buffer.alloc(512));
  await nbd.write(misplaced * BLOCK_BYTES, other);

  for (const promised of ['acknowledged', 'flushed'] as const) {
    const result = await writer.verify(() => nbd, promised);
    assert.equal(result.ok, false);
    assert.deepEqual([result.lost, result.lostFlushed, result.torn], [1, 1, 2]);
    assert.deepEqual(
      result.examples.map(({ seen }) => seen),
      [0, 'torn', 'misplaced'],
    );
  }
  await nbd.disconnect();
});

test('the writer follows a volume to another server and knows how long it was away', async () => {
  const { serve, connect, labels } = await volumes('data', 'journal');
  await serve('journal');
  const first = await serve('data');
  const writer = await startNumberedWriter({
    ...{ volumes: labels, connect, seed: 3 },
    ...{ queueDepth: 16, flushEvery: 50 },
  });
  await acknowledged(writer, 500);

  const killedAtMs = performance.now();
  await first.end('SIGKILL');
  await waitFor('the loss to be seen', () => writer.disconnected().length === 1);
  await acknowledged(writer, 200);
  await serve('data');
  const servedAtMs = performance.now();
  await waitFor('the writer to come back', () => writer.disconnected().length === 0);
  await acknowledged(writer, 500);
  const counts = await writer.stop();

  const result = await writer.verify(connect, 'acknowledged');
  assert.equal(result.ok, true, JSON.stringify(result));
  assert.ok(counts.inDoubt >= 1 && counts.inDoubt <= 16, `${counts.inDoubt} in doubt`);
  assert.equal(counts.acknowledged + counts.inDoubt, counts.issued);
  const away = writer.longestGap({ volume: 0, sinceMs: killedAtMs, untilMs: servedAtMs });
  assert.ok(away.durationMs >= (servedAtMs - killedAtMs) * 0.9, JSON.stringify(away));
  assert.ok(writer.outageBetween(killedAtMs, servedAtMs).durationMs < away.durationMs);
});

test('a site that lost acknowledged writes is caught after a handover', async () => {
  const { serve, connect, fileOf, labels } = await volumes('data', 'copy');
  const first = await serve('data');
  const writer = await startNumberedWriter({
    ...{ volumes: labels.slice(0, 1), connect, seed: 4, flushEvery: 0 },
  });
  await acknowledged(writer, 100);
  // Nothing is written while it is copied: half a block would be another loss.
  process.kill(first.pid, 'SIGSTOP');
  await copyFile(fileOf('data'), fileOf('copy'));
  process.kill(first.pid, 'SIGCONT');
  await acknowledged(writer, 300);

  await first.end('SIGKILL');
  await serve('data', 'copy');
  await acknowledged(writer, 10);
  await writer.stop();

  const planned = await writer.verify(connect, 'acknowledged');
  assert.equal(planned.ok, false);
  assert.ok(planned.lost > 200);
  assert.equal((await writer.verify(connect, 'flushed')).ok, true);
});

test('two volumes of different instants are no cut', async () => {
  const { serve, connect, fileOf, labels } = await volumes('data', 'journal', 'copy');
  await serve('data');
  await serve('journal');
  const writer = await startNumberedWriter({ volumes: labels.slice(0, 2), connect, seed: 5 });
  await acknowledged(writer, 200);
  await copyFile(fileOf('data'), fileOf('copy'));
  await acknowledged(writer, 200);
  await writer.stop();
  await serve('old', 'copy');

  const cut = await writer.verifyCut((label) => connect(label === 'data' ? 'old' : label));

  assert.ok(!cut.consistent);
  assert.equal(cut.why, 'missing_before_present');
  assert.ok(cut.present && cut.write.acknowledgedTick < cut.present.issuedTick);
});

test('a volume that cannot be opened at the start is told at once', async () => {
  const { serve, connect, labels } = await volumes('data', 'journal');
  await serve('data');

  await assert.rejects(
    startNumberedWriter({ volumes: labels, connect, seed: 6 }),
    /cannot connect/,
  );
});

test('a writer whose server stands still can be stopped', async () => {
  const { serve, connect, labels } = await volumes('data');
  const daemon = await serve('data');
  const writer = await startNumberedWriter({ volumes: labels, connect, seed: 7 });
  await acknowledged(writer, 50);

  process.kill(daemon.pid, 'SIGSTOP');
  await waitFor('nothing to be answered', () => {
    const lastAtMs = writer.log.acknowledgedAtMs(0).at(-1) ?? 0;
    return performance.now() - lastAtMs > 50;
  });
  const counts = await writer.stop({ limitMs: 50 });
  process.kill(daemon.pid, 'SIGCONT');

  assert.ok(counts.inDoubt > 0);
  assert.equal((await writer.verify(connect, 'acknowledged')).ok, true);
});

test('no block has two writes in flight', async () => {
  const { serve, connect } = await volumes('data');
  await serve('data');
  const small = [{ label: 'data', sizeBytes: 16 * BLOCK_BYTES }];
  const writer = await startNumberedWriter({ volumes: small, connect, seed: 8, queueDepth: 12 });
  await acknowledged(writer, 500);
  await writer.stop();

  const acknowledgedTicks = new Map<number, number>();
  for (const { block, issuedTick, acknowledgedTick } of writer.log.writes()) {
    assert.ok(issuedTick > (acknowledgedTicks.get(block) ?? 0), `block ${block}`);
    acknowledgedTicks.set(block, acknowledgedTick);
  }
  assert.equal((await writer.verify(connect, 'flushed')).ok, true);
});

test("a server's errors leave writes in doubt, and the writer goes on", async () => {
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'nbd.sock');
  const faulty = ['error-pwrite=EIO', 'error-pwrite-rate=10%'];
  await startNbdkit(directory, [
    ['--unix', socketPath, '--filter=error'],
    ['memory', '64M', ...faulty],
  ]);
  const connect = () => connectNbd({ address: { socketPath }, exportName: '' });
  const writer = await startNumberedWriter({
    ...{ volumes: [{ label: 'data', sizeBytes }], connect, seed: 9 },
  });

  await acknowledged(writer, 500);
  const counts = await writer.stop();

  assert.ok(writer.serverErrors() > 0);
  assert.equal(counts.inDoubt, writer.serverErrors());
  assert.equal((await writer.verify(connect, 'acknowledged')).ok, true);
});
