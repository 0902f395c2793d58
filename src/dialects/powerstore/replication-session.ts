/** Sessions: what a policy that is assigned makes, and what is done with it at either site. */
import { Type } from 'typebox';
import type { App } from '../../app/app.ts';
import { modeOf } from '../../app/session-mode.ts';
import type { SessionView } from '../../app/views.ts';
import type { ForkId, PointId, SessionId } from '../../domain/ids.ts';
import { Refusal, refuse } from '../../domain/refusal.ts';
import type { ReplicationSession, SessionState } from '../../domain/replication-session.ts';
import { codes } from './codes.ts';
import { PowerStoreError } from './errors.ts';
import { asToken, dataConnectionState, resourceType as resourceTypeTexts } from './l10n.ts';
import { connectionStates } from './remote-system.ts';
import { findRow, resourceType, textIn } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Outcome, Resource } from './routes.ts';
import { Flag, Reference, body, timestamp, timestampOr } from './schemas.ts';
import { snapshotIdOf } from './volume-type.ts';
import type { World } from './world.ts';

/** Our states in the vendor's words. */
const states: { readonly [S in SessionState]: string } = {
  initializing: 'Initializing',
  ok: 'OK',
  synchronizing: 'Synchronizing',
  pausing: 'Pausing',
  paused: 'Paused',
  system_paused: 'System_Paused',
  resuming: 'Resuming',
  handing_over: 'Failing_Over',
  failing_over: 'Failing_Over_For_DR',
  failed_over: 'Failed_Over',
  reprotecting: 'Reprotecting',
  deleting: 'Deleting',
  error: 'Error',
};

const sessionType = resourceType({
  name: 'replication_session',
  attributes: [
    'id',
    'state',
    'role',
    'resource_type',
    'data_transfer_state',
    'type',
    'last_sync_timestamp',
    'local_resource_id',
    'remote_resource_id',
    'remote_system_id',
    'progress_percentage',
    'estimated_completion_timestamp',
    'replication_rule_id',
    'last_sync_duration',
    'next_sync_timestamp',
    'storage_element_pairs',
    'failover_test_in_progress',
    'error_code',
    'data_connection_state',
    'parent_replication_session_id',
    'local_resource_state',
    'witness_details',
  ],
  texts: {
    state: asToken,
    role: asToken,
    resource_type: resourceTypeTexts,
    data_transfer_state: asToken,
    type: asToken,
    data_connection_state: dataConnectionState,
    local_resource_state: asToken,
  },
  links: {
    remote_system: 'remote_system',
    replication_rule: 'replication_rule',
    volumes: 'volume',
    volume_groups: 'volume_group',
  },
  nothing: ['migration_session'],
  rows: async (world) => {
    const sessions = await world.sessions();
    return Promise.all(sessions.map((session) => saySession(world, session)));
  },
});

async function saySession(world: World, session: SessionView) {
  const group = (await world.groups()).find(({ id }) => id === session.groupId);
  const policy = (await world.policies()).find(({ id }) => id === group?.policyId);
  const { now } = await world.site();
  const volumeIds = group?.volumeIds ?? [];
  const isLone = group?.implicit === true;
  const resourceId = isLone ? (volumeIds[0] ?? session.groupId) : session.groupId;
  const { progress, cycle, lastCycle, link } = session;
  const isInitial = session.newestPoint === undefined;
  return {
    attributes: {
      id: session.id,
      state: states[session.state],
      role: session.role === 'source' ? 'Source' : 'Destination',
      resource_type: isLone ? 'volume' : 'volume_group',
      data_transfer_state: transferState(session, isInitial),
      type: modeOf(session) === 'sync' ? 'Synchronous' : 'Asynchronous',
      last_sync_timestamp: timestampOr(session.newestPoint?.sealedAt),
      local_resource_id: resourceId,
      remote_resource_id: resourceId,
      remote_system_id: session.peerId,
      progress_percentage: cycle === undefined ? null : percentage(progress),
      estimated_completion_timestamp:
        progress?.etaSeconds === undefined ? null : timestamp(now + progress.etaSeconds * 1000),
      replication_rule_id: policy?.ruleId ?? null,
      last_sync_duration: lastCycle === undefined ? null : Math.round(lastCycle.durationMs),
      next_sync_timestamp: timestampOr(session.nextCycleAt),
      storage_element_pairs: volumeIds.map((id) => ({
        local_storage_element_id: id,
        remote_storage_element_id: id,
        storage_element_type: 'volume',
        storage_element_type_l10n: 'Volume',
        replication_shadow_id: null,
      })),
      failover_test_in_progress: session.failoverTest !== undefined,
      error_code: session.parkedBecause === undefined ? null : codes.session_failed[1],
      data_connection_state: connectionStates[link?.state ?? 'unknown'],
      parent_replication_session_id: null,
      local_resource_state: 'System_Defined',
      witness_details: null,
    },
    links: {
      remote_system: session.peerId,
      replication_rule: policy?.ruleId ?? null,
      volumes: isLone ? volumeIds : [],
      volume_groups: isLone ? [] : [session.groupId],
    },
  };
}

function transferState(session: ReplicationSession, isInitial: boolean): string {
  const { state } = session;
  if (state === 'paused' || state === 'system_paused') return 'Paused';
  if (isInitial) return 'Asynchronous_Initial_Sync';
  return modeOf(session) === 'sync' ? 'Synchronous' : 'Asynchronous';
}

function percentage(progress: SessionView['progress']): number {
  if (progress === undefined || progress.totalBytes === 0) return 0;
  return Math.min(100, Math.floor((100 * progress.sentBytes) / progress.totalBytes));
}

/** @throws PowerStoreError 404 */
async function sessionIn({ world, reference }: Asked): Promise<SessionView> {
  const found = await findRow(sessionType, world, reference);
  const session = (await world.sessions()).find(({ id }) => id === textIn(found, 'id'));
  if (session === undefined)
    throw new Error(`session ${textIn(found, 'id')} was there a moment ago`);
  return session;
}

const nothing = body({});

const sync = operation({
  needs: 'recovery',
  schema: nothing,
  run: async (asked) => {
    const { groupId } = await sessionIn(asked);
    const { jobId } = await asked.app.synchronizeGroup({ groupId });
    // It is under way when this is answered; how long it takes is told by the session.
    return { startedJobId: jobId };
  },
});

const pause = operation({
  needs: 'recovery',
  schema: nothing,
  run: async (asked) => {
    const { id } = await sessionIn(asked);
    await asked.app.pauseSession({ sessionId: id, by: asked.by });
    await stateOf(asked.app, id, 'pausing');
    return {};
  },
});

const resume = operation({
  needs: 'recovery',
  schema: nothing,
  run: async (asked) => {
    const { id } = await sessionIn(asked);
    await asked.app.resumeSession({ sessionId: id });
    // Clients go on at once with what is not possible while it resumes.
    await stateOf(asked.app, id, 'resuming');
    return {};
  },
});

const SETTLE_LIMIT_MS = 10_000;

/** Waits until the session has left a state that it passes through, but not for ever. */
async function stateOf(app: App, sessionId: SessionId, passing: SessionState): Promise<void> {
  const enough = AbortSignal.timeout(SETTLE_LIMIT_MS);
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = app.events.onCommit(resolve);
    enough.addEventListener('abort', () => resolve(), { once: true });
    try {
      const { state } = await app.showSession(sessionId);
      if (state !== passing || enough.aborted) return;
      await promise;
    } finally {
      stop();
    }
  }
}

const reprotect = operation({
  needs: 'recovery',
  schema: body({ discard_changes_after_failover: Flag }),
  run: async (asked, { discard_changes_after_failover: discards = false }) => {
    const { groupId } = await sessionIn(asked);
    if (discards) {
      const why = 'it is for file services; what the other site wrote becomes a fork and is kept';
      refuse({ code: 'unsupported', what: 'discard_changes_after_failover', why });
    }
    return asked.app.reprotectGroup({ groupId });
  },
});

const failover = operation({
  needs: 'recovery',
  schema: body({
    is_planned: Flag,
    reverse: Flag,
    force: Flag,
    use_test_copy: Flag,
    failover_snapshot_id: Type.Optional(Reference),
  }),
  run: async (asked, wanted) => {
    const session = await sessionIn(asked);
    return wanted.is_planned === false
      ? failOver(asked, session, wanted)
      : handOver(asked, session, wanted);
  },
});

interface Failover {
  readonly reverse?: boolean;
  readonly force?: boolean;
  readonly use_test_copy?: boolean;
  readonly failover_snapshot_id?: string;
}

async function handOver({ app }: Asked, session: SessionView, wanted: Failover): Promise<Outcome> {
  const { force, use_test_copy, failover_snapshot_id } = wanted;
  refuseFor('a planned failover', { force, use_test_copy, failover_snapshot_id });
  try {
    return await app.handOverGroup({ groupId: session.groupId, reverse: wanted.reverse ?? false });
  } catch (error) {
    // Where the other refusals are of the session's state, this one is of the request.
    if (!(error instanceof Refusal && error.reason.code === 'not_holder')) throw error;
    const sentence = `A planned failover begins at the source: ${error.message}.`;
    throw new PowerStoreError('planned_at_destination', sentence, session.id);
  }
}

async function failOver(asked: Asked, session: SessionView, wanted: Failover): Promise<Outcome> {
  const { app } = asked;
  refuseFor('an unplanned failover', { reverse: wanted.reverse });
  const { groupId } = session;
  const { force, use_test_copy: useTestCopy, failover_snapshot_id: snapshot } = wanted;
  const request = { groupId, force, useTestCopy, ...(await snapshotIn(asked, session, snapshot)) };
  try {
    // `is_planned: false` says that its caller knows what an unplanned failover is.
    const { confirmation } = await app.preflightFailover(request);
    return { jobId: (await app.failOverGroup({ ...request, confirmation })).jobId };
  } catch (error) {
    const isHeldHere = session.role === 'source';
    if (!(error instanceof Refusal && error.reason.code === 'in_use' && isHeldHere)) throw error;
    const isOver = session.state === 'failed_over';
    throw new PowerStoreError(
      isOver ? 'already_failed_over' : 'session_failed',
      `An unplanned failover is asked of the destination: ${error.message}.`,
      session.id,
    );
  }
}

/** What goes with the one kind of failover is refused with the other, not passed over. */
function refuseFor(kind: string, options: { readonly [option: string]: unknown }): void {
  const given = Object.entries(options).find(
    ([, value]) => value !== undefined && value !== false,
  )?.[0];
  if (given === undefined) return;
  throw new PowerStoreError('invalid_body', `[${given}] does not go with ${kind}.`, given);
}

/** A snapshot of the volume, or a snapshot set of the group: of a recovery point, or set aside. */
async function snapshotIn(
  { world }: Asked,
  { groupId }: SessionView,
  reference: string | undefined,
): Promise<{ readonly pointId?: PointId; readonly forkId?: ForkId }> {
  if (reference === undefined) return {};
  const id = reference.toLowerCase();
  const points = (await world.points()).filter((p) => p.groupId === groupId);
  const found = points.find(
    (point) => point.id === id || point.volumes.some((v) => snapshotIdOf(v.volumeId, point) === id),
  );
  if (found !== undefined) return { pointId: found.id };
  const fork = (await world.forks()).find((f) => f.groupId === groupId && f.id === id);
  if (fork !== undefined) return { forkId: fork.id };
  const named = reference.slice(0, 100);
  const sentence = `Snapshot ${named} is not one of the session's resource here.`;
  throw new PowerStoreError('no_such_instance', sentence, named);
}

const startTest = operation({
  needs: 'recovery',
  schema: body({ snapshot_id: Type.Optional(Reference) }),
  run: async (asked, { snapshot_id: reference }) => {
    const session = await sessionIn(asked);
    const { groupId } = session;
    const { pointId, forkId } = await snapshotIn(asked, session, reference);
    if (forkId !== undefined) {
      const why = 'a test shows what replication has brought; clone what was set aside';
      refuse({ code: 'unsupported', what: 'a failover test of a history set aside', why });
    }
    const { jobId } = await asked.app.startFailoverTest({ groupId, pointId });
    return { jobId };
  },
});

const stopTest = operation({
  needs: 'recovery',
  // With or without force it does not ask the other system, so that cannot hold it up.
  schema: body({ create_end_of_test_snapshot: Flag, force: Flag }),
  run: async (asked, { create_end_of_test_snapshot: keep = false }) => {
    const { app, done } = asked;
    const { groupId, failoverTest } = await sessionIn(asked);
    const known = new Set((await app.listForks({ groupId })).map(({ id }) => id));
    const { jobId } = await app.stopFailoverTest({ groupId, keep });
    if (!keep) return { jobId };
    await done(jobId);
    const kept = (await app.listForks({ groupId })).find(({ id }) => !known.has(id));
    if (kept === undefined) throw new Error(`test ${failoverTest?.id ?? ''} has left no fork`);
    return { jobId, answer: { snapshot_id: kept.id } };
  },
});

const metroOnly = (what: string) =>
  operation({
    needs: 'recovery',
    schema: body({ role: Type.Optional(Type.String()) }),
    run: async (asked) => {
      const { id } = await sessionIn(asked);
      return refuse({
        code: 'unsupported',
        what: `${what} of session ${id}`,
        why: 'it is for metro sessions, and there are none here',
      });
    },
  });

export const replicationSession: Resource = {
  type: sessionType,
  modify: metroOnly('modify'),
  actions: {
    sync,
    pause,
    resume,
    failover,
    reprotect,
    start_failover_test: startTest,
    stop_failover_test: stopTest,
    promote: metroOnly('promote'),
    demote: metroOnly('demote'),
  },
};
