/**
 * Every operation on a session, asked at each system in every state that the vendor's manual does not
 * allow it in: refused in the vendor's words, and nothing has changed. What is allowed, and why Baton
 * allows more in places, is in `test/states/vendor-table.test.ts`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { act, protectedGroup, refused } from '../../../test/support/powerstore-session.ts';
import type { World } from '../../../test/support/powerstore-session.ts';
import type { SessionId } from '../../domain/ids.ts';
import { sessionStates } from '../../domain/replication-session.ts';
import type { SessionState } from '../../domain/replication-session.ts';

type Side = 'source' | 'destination';
type Wanted = readonly [status: number, code: string];

interface Operation {
  readonly action: string;
  readonly body?: object;
  /** Where Baton takes it. */
  readonly taken: { readonly [S in Side]: readonly SessionState[] };
  readonly wanted?: (side: Side, state: SessionState) => Wanted;
}

const NOT_ALLOWED: Wanted = [422, '0xE02010050001'];
const FAILED_OVER_ALREADY: Wanted = [422, '0xE0201005000C'];
const PLANNED_AT_DESTINATION: Wanted = [400, '0xE02010050002'];

const atRest: readonly SessionState[] = ['ok', 'synchronizing', 'system_paused'];
const testable: readonly SessionState[] = [...atRest, 'paused'];
/** A copy that is being made up for is taken as it is when the source dies. */
const onTheWay: readonly SessionState[] = ['initializing', 'pausing', 'resuming', 'reprotecting'];
const losable: readonly SessionState[] = [...testable, 'handing_over', ...onTheWay];

const operations: Readonly<Record<string, Operation>> = {
  pause: { action: 'pause', taken: { source: atRest, destination: atRest } },
  resume: { action: 'resume', taken: { source: ['paused'], destination: ['paused'] } },
  sync: {
    action: 'sync',
    taken: {
      source: ['ok', 'system_paused', 'initializing', 'resuming', 'reprotecting'],
      destination: [],
    },
  },
  'a planned failover': {
    action: 'failover',
    body: { is_planned: true },
    taken: { source: ['ok', 'synchronizing'], destination: [] },
    wanted: (side) => (side === 'destination' ? PLANNED_AT_DESTINATION : NOT_ALLOWED),
  },
  'an unplanned failover': {
    action: 'failover',
    body: { is_planned: false },
    taken: { source: [], destination: losable },
    wanted: (_, state) => (state === 'failed_over' ? FAILED_OVER_ALREADY : NOT_ALLOWED),
  },
  'an unplanned failover by force': {
    action: 'failover',
    body: { is_planned: false, force: true },
    taken: { source: [], destination: [...losable, 'failed_over'] },
    wanted: (_, state) => (state === 'failed_over' ? FAILED_OVER_ALREADY : NOT_ALLOWED),
  },
  reprotect: { action: 'reprotect', taken: { source: ['failed_over'], destination: [] } },
  'a failover test': {
    action: 'start_failover_test',
    taken: { source: [], destination: testable },
  },
  'the end of a failover test where none runs': {
    action: 'stop_failover_test',
    taken: { source: [], destination: [] },
  },
};

for (const [name, { action, body, taken, wanted }] of Object.entries(operations)) {
  test(`${name} is refused in every state that does not allow it, at both systems, and changes nothing`, async (t) => {
    const world = await protectedGroup(t);
    for (const side of ['source', 'destination'] as const) {
      const api = side === 'source' ? world.here : world.there;
      for (const state of sessionStates.filter((s) => !taken[side].includes(s))) {
        await putInto(world, state);
        const [status, code] = wanted?.(side, state) ?? NOT_ALLOWED;

        const answer = await refused(world, status, () => act(api, world, action, body));

        assert.equal(answer.code, code, `${side}, ${state}: ${answer.sentence ?? ''}`);
      }
    }
  });
}

/** Both systems' sessions say the state, as if it had come about. */
async function putInto({ paris, lyon, sessionId }: World, state: SessionState): Promise<void> {
  const pause = state === 'paused' ? { before: 'ok' as const, bothSides: true } : undefined;
  for (const { ports } of [paris, lyon]) {
    await ports.store.transaction((tx) =>
      tx.sessions.change(sessionId as SessionId, (s) => ({ ...s, state, pause })),
    );
  }
}
