/** A failover comes while the destination merges layers of points that it has let go of. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { daemonPaths } from '../../src/engines/qcow2/daemon-process.ts';
import { MERGE_JOB } from '../../src/engines/qcow2/merge-job.ts';
import { QmpClient } from '../../src/engines/qmp/client.ts';
import { queryJobs } from '../../src/engines/qmp/queries.ts';
import type { GroupId } from '../../src/domain/ids.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { twoSites } from '../support/two-sites.ts';
import type { TwoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const FILLED_BYTES = 32 * MIB;
const LIMIT_MS = 90_000;

test('a failover while the destination merges layers stands on its newest point, and the group comes back as a delta', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders', volumes: 1 });
  const { paris, lyon } = sites;
  let isTaken = false;
  const failedOver = mergesAt(sites).then(() => {
    isTaken = true;
    return lyon.failOver('orders');
  });
  const over = Promise.allSettled([failedOver]).then(() => true);
  /** What the points have that paris was told of. */
  const fills = new Map<string | undefined, number>();
  let fill = 0;
  const cycle = async (): Promise<boolean> => {
    fill += 1;
    try {
      fills.set(await replicated(sites, fill), fill);
    } catch (error) {
      // From then on it is lyon's, and paris is refused.
      if (!isTaken) throw error;
    }
    return isTaken;
  };
  while (!(await Promise.race([over, cycle()])));

  const { point } = await failedOver;

  const host = await sites.connect(lyon, 'orders-1');
  const found = new Set(await host.read(0, FILLED_BYTES));
  await host.disconnect();
  assert.equal(found.size, 1, 'it is one instant');
  const [seen = 0] = found;
  assert.ok(
    seen >= Math.max(...fills.values()),
    `${seen}: nothing is older than what paris was told`,
  );
  assert.equal(fills.get(point?.id) ?? seen, seen);
  await paris.sessionOnce('orders', 'it has learned', (s) => s.state === 'failed_over');
  const { lastCycle } = await lyon.reprotect('orders');
  assert.equal(lastCycle?.kind, 'delta');
  assert.deepEqual(await sites.agreement('orders'), { holder: 'lyon', epoch: 2 });
});

/** Resolves while a merge runs at lyon. */
async function mergesAt({ dir, lyon }: TwoSites): Promise<void> {
  const { id } = await lyon.group('orders');
  const { rescue } = daemonPaths(join(dir, 'lyon', 'data', 'run'), id as GroupId);
  const qmp = await QmpClient.connect(rescue);
  try {
    await waitUntil('lyon merges', LIMIT_MS, async () => {
      const jobs = await queryJobs(qmp);
      const isMerging = jobs.some(
        ({ id: job, status }) => job.startsWith(MERGE_JOB) && status === 'running',
      );
      return isMerging ? true : undefined;
    });
  } finally {
    qmp.close();
  }
}

/** @returns the point in which all of the volume is filled so */
async function replicated(sites: TwoSites, fill: number): Promise<string | undefined> {
  const { paris } = sites;
  const host = await sites.connect(paris, 'orders-1');
  for (let at = 0; at < FILLED_BYTES; at += MIB) await host.write(at, Buffer.alloc(MIB, fill));
  await host.flush();
  await host.disconnect();
  return (await paris.synchronize('orders')).newestPoint?.id;
}
