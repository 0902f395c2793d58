/** A synchronous session that holds its hosts, on two sites in memory: who lets them go, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { GroupId, SessionId } from '../../src/domain/ids.ts';
import { Failure } from '../../src/domain/refusal.ts';
import type { ReplicationSession } from '../../src/domain/replication-session.ts';
import { isHeldBack } from '../../src/domain/synchrony.ts';
import { noteFact } from '../../src/app/keep-mirror.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { groupNamed, ordersInSync } from '../sagas/preparations.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair } from '../support/memory-site.ts';
import { lookAfter } from '../support/memory-watches.ts';

const LIMIT_MS = 10_000;

test('a release that died before the data plane was begun anew is carried on by itself', async (t) => {
  const { paris, sessionId } = await holding(t);
  const { engine } = paris;
  const stop = engine.stopMirror.bind(engine);
  let isStopped = false;
  engine.stopMirror = () => Promise.reject(new Failure('killed'));
  // A data plane that holds its hosts answers nothing.
  engine.inspectMirror = () => Promise.reject(new Failure('it does not answer'));
  await assert.rejects(paris.app.releaseHosts({ sessionId, by: 'admin' }), /killed/);

  engine.stopMirror = async (groupId) => {
    await stop(groupId);
    isStopped = true;
  };
  lookAfter(t, paris);

  await waitUntil('hosts are let go', LIMIT_MS, async () => isStopped || undefined);
});

test('hosts that a mirror holds can be released also after the session was told to go on', async (t) => {
  const { paris, sessionId, groupId } = await holding(t);
  await paris.app.changeSession({ sessionId, onLoss: 'continue' });

  const { sync } = await paris.app.releaseHosts({ sessionId, by: 'admin' });

  assert.deepEqual([sync?.condition.state, sync?.released], ['fractured', true]);
  assert.equal(await paris.engine.inspectMirror(groupId), undefined);
});

test('hosts that a pause lets in stay in when the session is resumed', async (t) => {
  const { paris, sessionId, groupId, session } = await holding(t);
  await paris.engine.stopMirror(groupId);
  await noteFact(paris.ports, await session(), { fact: 'broken', why: 'the data plane died' });
  assert.equal(isHeldBack(await session()), true);

  await paris.app.pauseSession({ sessionId, by: 'admin' });
  assert.equal(isHeldBack(await session()), false);
  await paris.app.resumeSession({ sessionId });

  const { state, sync } = await session();
  assert.deepEqual([state, sync?.condition.state], ['ok', 'fractured']);
  assert.equal(isHeldBack(await session()), false);
});

interface Holding extends MemoryPair {
  readonly groupId: GroupId;
  readonly sessionId: SessionId;
  readonly session: () => Promise<ReplicationSession>;
}

async function holding(t: TestContext): Promise<Holding> {
  const pair = await memoryPair(t);
  const { paris } = pair;
  await ordersInSync(pair, 'hold');
  const [{ id: sessionId } = assert.fail('no session')] = await paris.app.listSessions();
  const groupId = await groupNamed(paris, 'orders');
  const session = () => paris.ports.store.read((tx) => tx.sessions.need(sessionId));
  return { ...pair, groupId, sessionId, session };
}
