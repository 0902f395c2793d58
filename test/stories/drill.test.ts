import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { verifyChain, verifyDrill } from '../../src/cli/verify-drill.ts';
import type { SignedDrill } from '../../src/domain/drill.ts';
import { drillPage } from '../../src/domain/drill-page.ts';
import { processesIn } from '../support/site-processes.ts';
import type { StorySite } from '../support/story-site.ts';
import { twoSites, volumesOf } from '../support/two-sites.ts';
import type { TwoSites } from '../support/two-sites.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const SECTOR_BYTES = 512;
const [WHOLE = '', PARTED = ''] = volumesOf('orders');

test('a drill checks what is on the copy, ends its test, and leaves a report that nobody can change', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders', volumeBytes: 32 * MIB });
  const { paris, lyon } = sites;
  const image = await ext4(t, 16);
  await put(sites, WHOLE, 0, image);
  await put(sites, PARTED, 0, partitionTable(2048, image.length / SECTOR_BYTES));
  await put(sites, PARTED, MIB, image);
  await paris.synchronize('orders');
  await giveCommand(t, sites, lyon);

  const first = await drill(lyon, await startDrill(lyon));
  const { report } = first;
  assert.equal(report.verdict, 'passed', JSON.stringify(report, undefined, 2));
  assert.deepEqual([report.hashes.verdict, report.command.verdict], ['passed', 'passed']);
  assert.match(report.command.detail, /orders orders-1\nread 4096\/4096 bytes/);
  assert.deepEqual(
    report.volumes.map(({ checks }) => checks.map(({ what, verdict }) => `${what}: ${verdict}`)),
    [
      ['partition table: passed', 'file system ext4: passed'],
      ['partition table: passed', 'file system ext4 in partition 1: passed'],
    ],
  );
  assert.equal(report.ended, true);
  assert.deepEqual((await lyon.get<{ items: readonly unknown[] }>('/copies')).items, []);

  // The control process dies while the second one looks at the copy.
  const second = await startDrill(lyon);
  await lyon.stepDone(second.job, 'hash');
  await lyon.killControl();
  await lyon.startControl();
  const after = await drill(lyon, second);
  assert.equal(after.report.verdict, 'passed');
  assert.deepEqual((await lyon.get<{ items: readonly unknown[] }>('/copies')).items, []);
  assert.deepEqual(leftBehind(sites), []);

  // Block 1 holds the group descriptors.
  await put(sites, WHOLE, 4096, Buffer.alloc(4096, 0xa5));
  await paris.synchronize('orders');
  const broken = await drill(lyon, await startDrill(lyon));
  assert.equal(broken.report.verdict, 'failed', JSON.stringify(broken.report));

  verifyChain([first, after, broken].map((one) => verifyDrill(JSON.stringify(one)).drill));
  assert.throws(() => verifyChain([first, broken]), /one is missing/);
  const page = drillPage(broken);
  assert.equal(verifyDrill(page).drill.hash, broken.hash);
  assert.throws(() => verifyDrill(page.replaceAll('"failed"', '"passed"')), /was changed/);
  const forged = { ...first, signature: after.signature };
  assert.throws(() => verifyDrill(JSON.stringify(forged)), /signature does not fit/);
});

interface Started {
  readonly job: string;
  readonly drillId: string;
}

async function startDrill(site: StorySite): Promise<Started> {
  const path = '/groups/orders/drills';
  const asked = { method: 'POST', path, body: {} } as const;
  const { job, drillId } = await site.ask<{ job: { id: string }; drillId: string }>(asked);
  return { job: job.id, drillId };
}

async function drill(site: StorySite, { job, drillId }: Started): Promise<SignedDrill> {
  const { state, outcome } = await site.endOf(job);
  assert.equal(state, 'done', outcome?.message ?? '');
  return site.get<SignedDrill>(`/drills/${drillId}`);
}

async function put(sites: TwoSites, volume: string, offset: number, bytes: Buffer): Promise<void> {
  const host = await sites.connect(sites.paris, volume);
  for (let at = 0; at < bytes.length; at += MIB) {
    await host.write(offset + at, bytes.subarray(at, at + MIB));
  }
  await host.flush();
  await host.disconnect();
}

async function ext4(t: TestContext, mib: number): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-ext4-'));
  t.after(() => rm(directory, { recursive: true }));
  const file = join(directory, 'image');
  await writeFile(file, '');
  await truncate(file, mib * MIB);
  await run('mkfs.ext4', ['-q', '-b', '4096', file]);
  return readFile(file);
}

/** A DOS table with one Linux partition. */
function partitionTable(startSector: number, sectors: number): Buffer {
  const table = Buffer.alloc(SECTOR_BYTES);
  table.writeUInt8(0x83, 446 + 4);
  table.writeUInt32LE(startSector, 446 + 8);
  table.writeUInt32LE(sectors, 446 + 12);
  table.writeUInt16LE(0xaa55, 510);
  return table;
}

/** The site's own check: it says what it was told and reads the first volume. */
async function giveCommand(t: TestContext, sites: TwoSites, site: StorySite): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-check-'));
  t.after(() => rm(directory, { recursive: true }));
  const command = join(directory, 'check');
  const read = 'qemu-io -f raw -r -c "read 0 4k" "$BATON_URI_1"';
  await writeFile(command, `#!/bin/sh\necho "$BATON_GROUP $BATON_VOLUME_1"\n${read}\n`);
  await chmod(command, 0o755);
  const file = join(sites.dir, site.name, 'baton.toml');
  const config = await readFile(file, 'utf8');
  await writeFile(file, `drill-command = ${JSON.stringify(command)}\n${config}`);
  await site.killControl();
  await site.startControl();
}

/** Processes that only a drill starts. */
function leftBehind({ dir }: TwoSites): readonly string[] {
  const lines = processesIn(dir).map(({ commandLine }) => commandLine);
  return lines.filter((line) => line.includes('/run/drill-'));
}
