/** Lives a group's life with a crash in it, as often as asked. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { GroupId } from '../../src/domain/ids.ts';
import { CrashPoints } from './crash-points.ts';
import type { Fate } from './crash-points.ts';
import type { GroupLife } from './group-life.ts';
import { twoSites } from './test-sites.ts';
import type { TestSite, TestSites } from './test-sites.ts';

const ATTEMPTS = 3;

type LifeOf = (sites: TestSites) => GroupLife;

/**
 * @param lifeOf the life that is lived at two sites
 * @param spread how many moments of the life are tried, evenly spread; the first one changes from
 *   run to run, or is CRASH_FIRST
 */
export function crashTests(lifeOf: LifeOf, spread: number): void {
  const crash = new CrashPoints();
  let sites: TestSites | undefined;
  let restore: (() => void) | undefined;
  before(async () => {
    sites = await twoSites();
    restore = crash.patchCommands();
  });
  after(async () => {
    restore?.();
    await sites?.close();
  });
  for (const kill of [false, true]) {
    const whom = kill ? 'control and daemons' : 'control';
    test(`${whom} ended at any moment and started again end as if nothing was`, async (t) => {
      assert.ok(sites);
      const moments = await live(lifeOf, sites, crash, undefined, false);
      const stride = Math.max(1, Math.floor(moments / spread));
      const first = Number(process.env['CRASH_FIRST'] ?? (process.pid % stride) + 1);
      t.diagnostic(`${moments} moments, every ${stride}th from ${first}`);
      for (let at = first; at <= moments; at += stride) {
        for (const when of ['before', 'after'] as const) {
          await live(lifeOf, sites, crash, { at, when }, kill);
        }
      }
    });
  }
}

/** @returns how many moments the life had */
async function live(
  lifeOf: LifeOf,
  sites: TestSites,
  crash: CrashPoints,
  fate: Fate | undefined,
  kill: boolean,
): Promise<number> {
  const { a, b } = sites;
  const both = [a, b] as const;
  for (const site of both) await site.restartControl(crash.records(site.records));
  const life = lifeOf(sites);
  crash.start(fate);
  for (const [index, step] of life.steps.entries()) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await step();
        break;
      } catch (cause) {
        if (!crash.isDead || attempt === ATTEMPTS) {
          throw new Error(`step ${index} of a life with ${JSON.stringify(fate)}`, { cause });
        }
        for (const site of both) await site.restartControl(crash.records(site.records));
        crash.revive();
        if (!kill) continue;
        for (const site of both) await killAll(site, life.groupIds);
      }
    }
  }
  const { count } = crash;
  crash.revive();
  await life.assertEnd();
  for (const site of both) {
    for (const groupId of life.groupIds) await site.engine.deleteGroup(groupId);
  }
  return count;
}

async function killAll(site: TestSite, groupIds: readonly GroupId[]): Promise<void> {
  for (const groupId of groupIds) {
    const { pid, copies } = await site.engine.inspect(groupId);
    if (pid !== undefined) await site.killDataPlane(groupId);
    for (const copy of copies) {
      if (copy.pid !== undefined) await site.killCopy(groupId, copy.copyId);
    }
  }
}
