/** Sites that come back, and clocks that are wrong: what they must not do. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { startDueCycles } from '../../src/app/start-due-cycles.ts';
import type { GroupId, SagaId } from '../../src/domain/ids.ts';
import { FirstWords } from '../../src/reconcilers/first-words.ts';
import { linkWatch } from '../../src/reconcilers/link-watch.ts';
import { supervisor } from '../../src/reconcilers/supervisor.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';

const MIB = 1024 * 1024;
const HOUR_MS = 60 * 60 * 1000;
const TURNS_LIMIT = 5000;

test('a site that returns with a store from before a failover learns of it before it serves anything', async (t) => {
  const { paris, lyon, groupId } = await copied(t);
  paris.engine.crashDataPlane(groupId);
  const { confirmation } = await lyon.app.preflightFailover({ groupId });
  await ended(lyon, lyon.app.failOverGroup({ groupId, confirmation }));
  const { served, stop } = startLoops(t, paris);

  await until(async () => (await paris.app.showGroup(groupId)).ownership.epoch === 2);
  await until(async () => (await paris.app.listForks({ groupId })).length === 1);
  await stop();

  assert.deepEqual(served, []);
});

test('a site whose peer is silent after its start serves what it held', async (t) => {
  const { paris, groupId } = await copied(t);
  paris.engine.crashDataPlane(groupId);
  paris.trouble.down = true;
  const { served, stop } = startLoops(t, paris);

  await until(async () => (await paris.engine.inspect(groupId)).serving);
  await stop();

  assert.deepEqual([...new Set(served)], [groupId]);
});

test('a clock that is set back an hour during a cycle holds up none after it', async (t) => {
  const { paris, groupId, clock } = await copied(t);
  paris.trouble.hold = async (message) => {
    if (message === 'completePoint') clock.setForward(-HOUR_MS);
  };
  await ended(paris, paris.app.synchronizeGroup({ groupId }));
  paris.trouble.hold = () => Promise.resolve();
  const [session] = await paris.app.listSessions();

  assert.ok((session?.lastCycle?.durationMs ?? -1) >= 0);
  await startDueCycles(paris.ports);
  await ended(paris, paris.app.synchronizeGroup({ groupId }));
  clock.pass(31_000);
  await startDueCycles(paris.ports);
  assert.ok((await paris.app.listSessions())[0]?.cycle, 'the next one is due by the RPO');
});

/** Paris has a write that Lyon does not have. */
async function copied(t: TestContext): Promise<MemoryPair & { readonly groupId: GroupId }> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  await ended(paris, paris.app.createVolume({ name: 'data', sizeBytes: MIB, groupId }));
  await ended(paris, paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
  await ended(paris, paris.app.synchronizeGroup({ groupId }));
  const [volume] = (await paris.app.showGroup(groupId)).volumes;
  paris.engine.write(groupId, volume!.id, 1, 1);
  return { ...pair, groupId };
}

async function ended(site: MemorySite, job: Promise<{ readonly jobId: SagaId }>): Promise<void> {
  const { state, outcome } = await site.ended((await job).jobId);
  assert.equal(state, 'done', outcome?.message ?? '');
}

/** As the server does when it starts; notes what is opened to hosts. */
function startLoops(t: TestContext, { ports, engine }: MemorySite) {
  const served: GroupId[] = [];
  const noting = new Proxy(engine, {
    get: (target, name) => {
      if (name === 'serve') {
        return (...[groupId, access]: Parameters<typeof engine.serve>) => {
          served.push(groupId);
          return target.serve(groupId, access);
        };
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
  const firstWords = new FirstWords();
  const watched = { ...ports, engine: noting };
  const supervising = supervisor(watched, firstWords);
  const { dataPlanes } = supervising;
  const link = linkWatch(watched, { dataPlanes, firstWords, linkCut: undefined });
  const stop = async (): Promise<void> => {
    await Promise.all([supervising.stop(), link.stop()]);
  };
  t.after(stop);
  return { served, stop };
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let turns = 0; turns < TURNS_LIMIT; turns += 1) {
    if (await isSo()) return;
    await turn();
  }
  assert.fail('it does not come about');
}
