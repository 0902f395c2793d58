/**
 * Which request is possible in which state, at which side: asked of two sites in every state, and
 * compared with what the vendors' manuals say of an asynchronous session. Where Baton differs the
 * reason is written beside it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Refusal } from '../../src/domain/refusal.ts';
import { sessionStates } from '../../src/domain/replication-session.ts';
import type { ReplicationSession, SessionState } from '../../src/domain/replication-session.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';

const MIB = 1024 * 1024;

type Side = 'source' | 'destination';

interface Request {
  /** Of the manual. */
  readonly allowed: { readonly [S in Side]: readonly SessionState[] };
  readonly ask: (site: MemorySite, session: ReplicationSession) => Promise<unknown>;
}

const never: readonly SessionState[] = [];

const requests: Readonly<Record<string, Request>> = {
  sync: {
    allowed: { source: ['ok', 'system_paused'], destination: never },
    ask: ({ app }, { groupId }) => app.synchronizeGroup({ groupId }),
  },
  pause: {
    allowed: {
      source: ['ok', 'synchronizing', 'system_paused'],
      destination: ['ok', 'synchronizing', 'system_paused'],
    },
    ask: ({ app }, { id }) => app.pauseSession({ sessionId: id, by: 'operator' }),
  },
  resume: {
    allowed: { source: ['paused'], destination: ['paused'] },
    ask: ({ app }, { id }) => app.resumeSession({ sessionId: id }),
  },
  'planned failover': {
    allowed: { source: ['ok', 'synchronizing'], destination: never },
    ask: ({ app }, { groupId }) => app.handOverGroup({ groupId, reverse: true }),
  },
  'unplanned failover': {
    allowed: {
      source: never,
      destination: ['ok', 'synchronizing', 'system_paused', 'paused', 'handing_over'],
    },
    ask: (site, { groupId }) => failOver(site, groupId, false),
  },
  'unplanned failover by force': {
    allowed: {
      source: never,
      destination: [
        'ok',
        'synchronizing',
        'system_paused',
        'paused',
        'handing_over',
        'failed_over',
      ],
    },
    ask: (site, { groupId }) => failOver(site, groupId, true),
  },
  reprotect: {
    allowed: { source: ['failed_over'], destination: never },
    ask: ({ app }, { groupId }) => app.reprotectGroup({ groupId }),
  },
  'end the session': {
    allowed: { source: sessionStates, destination: never },
    ask: ({ app }, { groupId }) => app.unprotectGroup({ groupId, discardCopy: false }),
  },
};

/** `request/side/state`: what Baton answers otherwise than the manual, and why. */
const departures: Readonly<Record<string, 'allowed' | 'refused'>> = {
  // The copy that is made first, or goes on, is the cycle that was asked for.
  'sync/source/initializing': 'allowed',
  'sync/source/resuming': 'allowed',
  'sync/source/reprotecting': 'allowed',
  // A copy that is being made up for is taken as it is when the source dies: its newest complete
  // point is as good as any. Where there is none yet it is refused for that.
  'unplanned failover/destination/initializing': 'allowed',
  'unplanned failover/destination/pausing': 'allowed',
  'unplanned failover/destination/resuming': 'allowed',
  'unplanned failover/destination/reprotecting': 'allowed',
  'unplanned failover by force/destination/initializing': 'allowed',
  'unplanned failover by force/destination/pausing': 'allowed',
  'unplanned failover by force/destination/resuming': 'allowed',
  'unplanned failover by force/destination/reprotecting': 'allowed',
  // One operation at a time: it is refused by name until that has ended, which is soon.
  'end the session/source/pausing': 'refused',
  'end the session/source/handing_over': 'refused',
  'end the session/source/failing_over': 'refused',
};

for (const [name, request] of Object.entries(requests)) {
  describe(name, () => {
    for (const side of ['source', 'destination'] as const) {
      for (const state of sessionStates) {
        const manual = request.allowed[side].includes(state) ? 'allowed' : 'refused';
        const wanted = departures[`${name}/${side}/${state}`] ?? manual;
        test(`at the ${side} of a session that is ${state}: ${wanted}`, async (t) => {
          const pair = await copied(t);
          const site = side === 'source' ? pair.paris : pair.lyon;
          const session = await putInto(pair, state, site);

          assert.equal(await answerOf(request.ask(site, session)), wanted);
          await pair.close();
        });
      }
    }
  });
}

test('every departure is one', () => {
  for (const [key, answer] of Object.entries(departures)) {
    const [name, side, state] = key.split('/') as [string, Side, SessionState];
    const manual = requests[name]?.allowed[side].includes(state) === true ? 'allowed' : 'refused';
    assert.notEqual(answer, manual, key);
  }
});

test('a session that is paused at one side only is not resumed, synchronized or handed over', async (t) => {
  const pair = await copied(t);
  const { paris, lyon } = pair;
  const { id: sessionId, groupId } = await sessionAt(paris);
  paris.trouble.down = true;
  const { pause } = await paris.app.pauseSession({ sessionId, by: 'operator' });
  assert.deepEqual(pause, { before: 'ok', bothSides: false });
  assert.equal((await sessionAt(lyon)).state, 'ok');
  paris.trouble.down = false;

  for (const asked of [
    paris.app.resumeSession({ sessionId }),
    lyon.app.resumeSession({ sessionId }),
    paris.app.synchronizeGroup({ groupId }),
    paris.app.handOverGroup({ groupId, reverse: true }),
  ]) {
    await assert.rejects(asked, (e) => e instanceof Refusal && e.reason.code === 'wrong_state');
  }

  const again = await paris.app.pauseSession({ sessionId, by: 'operator' });
  assert.deepEqual([again.pause?.bothSides, (await sessionAt(lyon)).state], [true, 'paused']);
  await lyon.app.resumeSession({ sessionId });
  assert.deepEqual([(await sessionAt(paris)).state, (await sessionAt(lyon)).state], ['ok', 'ok']);
});

test('a source whose destination alone is paused is parked with the reason, and goes on with it', async (t) => {
  const pair = await copied(t);
  const { paris, lyon } = pair;
  const { id: sessionId, groupId } = await sessionAt(paris);
  lyon.trouble.down = true;
  await lyon.app.pauseSession({ sessionId, by: 'operator' });
  lyon.trouble.down = false;

  await paris.ended((await paris.app.synchronizeGroup({ groupId })).jobId);

  const parked = await sessionAt(paris);
  assert.equal(parked.state, 'system_paused');
  assert.match(parked.parkedBecause ?? '', /paused at its destination/);
  await lyon.app.pauseSession({ sessionId, by: 'operator' });
  assert.equal((await sessionAt(paris)).state, 'paused');
  await paris.app.resumeSession({ sessionId });
  const { state } = await paris.ended((await paris.app.synchronizeGroup({ groupId })).jobId);
  assert.equal(state, 'done');
});

test('a resume whose answer was lost is put right by a pause and a resume', async (t) => {
  const pair = await copied(t);
  const { paris, lyon } = pair;
  const { id: sessionId } = await sessionAt(paris);
  await paris.app.pauseSession({ sessionId, by: 'operator' });
  paris.trouble.lostAfter.add('pauseSession');
  await assert.rejects(paris.app.resumeSession({ sessionId }));
  paris.trouble.lostAfter.clear();
  assert.deepEqual(
    [(await sessionAt(paris)).state, (await sessionAt(lyon)).state],
    ['paused', 'ok'],
  );

  await assert.rejects(paris.app.resumeSession({ sessionId }));
  await paris.app.pauseSession({ sessionId, by: 'operator' });
  await paris.app.resumeSession({ sessionId });

  assert.deepEqual([(await sessionAt(paris)).state, (await sessionAt(lyon)).state], ['ok', 'ok']);
});

test('what adds up while a session is paused is shown with the time that it should take', async (t) => {
  const { paris } = await copied(t);
  const { id: sessionId, groupId } = await sessionAt(paris);
  await paris.app.pauseSession({ sessionId, by: 'operator' });
  const before = (await paris.app.showSession(sessionId)).backlog;
  const [volume] = (await paris.app.showGroup(groupId)).volumes;
  for (const block of [2, 3, 4]) paris.engine.write(groupId, volume!.id, block, block);

  const { backlog } = await paris.app.showSession(sessionId);

  assert.equal(before?.bytes, 0);
  assert.equal(backlog?.bytes, 3 * 4096);
  assert.ok((backlog?.estimatedSeconds ?? 0) >= 1);
});

async function copied(t: Parameters<typeof memoryPair>[0]): Promise<MemoryPair> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  const { id: groupId } = await paris.app.createGroup({ name: 'orders' });
  const made = await paris.app.createVolume({ name: 'data', sizeBytes: MIB, groupId });
  await paris.ended(made.jobId);
  paris.engine.write(groupId, (await paris.app.listVolumes())[0]!.id, 1, 1);
  await paris.ended(
    (await paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 })).jobId,
  );
  await paris.ended((await paris.app.synchronizeGroup({ groupId })).jobId);
  return pair;
}

async function sessionAt({ app }: MemorySite): Promise<ReplicationSession> {
  const [session] = await app.listSessions();
  assert.ok(session);
  return session;
}

/** Both sites' rows say the state, as if it had come about; only the asked one's answer counts. */
async function putInto(
  { paris, lyon }: MemoryPair,
  state: SessionState,
  asked: MemorySite,
): Promise<ReplicationSession> {
  const { id } = await sessionAt(asked);
  for (const { ports } of [paris, lyon]) {
    const pause = state === 'paused' ? { before: 'ok' as const, bothSides: true } : undefined;
    await ports.store.transaction((tx) => tx.sessions.change(id, (s) => ({ ...s, state, pause })));
  }
  return sessionAt(asked);
}

async function failOver(
  { app }: MemorySite,
  groupId: ReplicationSession['groupId'],
  force: boolean,
): Promise<unknown> {
  const { confirmation } = await app.preflightFailover({ groupId, force });
  return app.failOverGroup({ groupId, force, confirmation });
}

async function answerOf(asked: Promise<unknown>): Promise<'allowed' | 'refused'> {
  try {
    await asked;
    return 'allowed';
  } catch (error) {
    if (error instanceof Refusal) return 'refused';
    throw error;
  }
}
