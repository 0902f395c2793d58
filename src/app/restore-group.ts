/** The holder goes back: to a recovery point, or to a history that was set aside. */
import type { Group } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { ForkId, GroupId, PointId, SagaId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { Refusal, refuse } from '../domain/refusal.ts';
import { ageSeconds } from '../domain/recovery-point.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import type { Fork as EngineFork } from '../ports/engine.ts';
import type { Transaction } from '../ports/store.ts';
import type { Adoption } from '../sagas/adopt.ts';
import { goBack } from '../sagas/go-back.ts';
import { lockGroup, requireFree } from '../sagas/operation.ts';
import { startSaga } from '../sagas/saga.ts';
import { needFork, requireAdoptable } from './adopt-fork.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { confirmationFor } from './confirmation.ts';
import { lastTookSeconds } from './expected-time.ts';

type Deps = Pick<AppPorts, 'store' | 'clock' | 'here' | 'engine'>;

export interface RestoreGroup {
  readonly groupId: GroupId;
  /** The point, or the fork, that is to be the present. */
  readonly to: { readonly pointId: PointId } | { readonly forkId: ForkId };
  /** What the preflight printed: that the caller has seen what is set aside. */
  readonly confirmation?: string | undefined;
}

/** What going back would set aside. Nothing is lost: a fork keeps it for its term. */
export interface RestorePreflight {
  readonly point: RecoveryPoint | undefined;
  readonly pointAgeSeconds: number | undefined;
  /** About what the fork would hold. */
  readonly setAsideBytes: number;
  readonly setAsidePoints: number;
  /** As long as the last one here took; absent: there was none. */
  readonly expectedSeconds: number | undefined;
  readonly blockedBy: readonly string[];
  readonly confirmation: string | undefined;
}

/**
 * Makes an older point, or a fork, the group's present. What hosts wrote since becomes a fork; hosts
 * are fenced meanwhile and reconnect. The destination follows with the next cycle, as a delta.
 *
 * @throws Refusal `not_found`, `not_holder`, `point_missing`, `operation_running`, `in_use` (the
 *   fork's bytes are at the other site), `unsupported` (it has other volumes), `confirmation_needed`
 */
export async function restoreGroup(ports: Deps, request: RestoreGroup): Promise<Job> {
  const { groupId, confirmation } = request;
  const { clock, engine } = ports;
  const { forks } = await engine.inspect(groupId);
  return ports.store.transaction(async (tx) => {
    const { group, point, adopts } = await check(tx, ports, request, forks);
    const token = tokenOf(group, point, adopts);
    const now = clock.now();
    if (confirmation !== token) {
      const consequence = `what hosts wrote in the last ${ageSeconds(point, now)} s is set aside`;
      refuse({ code: 'confirmation_needed', token, consequence });
    }
    const sagaId = newId<SagaId>();
    await lockGroup(tx, groupId, sagaId);
    const input = { groupId, pointId: point.id, adopts, asideForkId: newId<ForkId>() };
    await startSaga(tx, goBack, input, { sagaId, groupId, now });
    return { jobId: sagaId };
  });
}

/** @throws Refusal `not_found` */
export async function preflightRestore(
  ports: Deps,
  request: RestoreGroup,
): Promise<RestorePreflight> {
  const { store, clock, engine } = ports;
  const { groupId } = request;
  const { forks } = await engine.inspect(groupId);
  const seen = await store.read(async (tx) => {
    await tx.groups.need(groupId);
    const expectedSeconds = await lastTookSeconds(tx, goBack);
    try {
      const { group, point, adopts } = await check(tx, ports, request, forks);
      const points = await tx.points.where({ groupId });
      const setAsidePoints = points.filter((p) => p.sequence > point.sequence).length;
      const confirmation = tokenOf(group, point, adopts);
      return { point, setAsidePoints, expectedSeconds, confirmation, blockedBy: [] };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const nothing = { point: undefined, confirmation: undefined, setAsidePoints: 0 };
      return { ...nothing, expectedSeconds, blockedBy: [error.message] };
    }
  });
  const { point } = seen;
  return {
    ...seen,
    pointAgeSeconds: point && ageSeconds(point, clock.now()),
    setAsideBytes: point === undefined ? 0 : await engine.bytesAbove(groupId, point.id),
  };
}

async function check(
  tx: Transaction,
  { here }: Pick<Deps, 'here'>,
  { groupId, to }: RestoreGroup,
  kept: readonly EngineFork[],
): Promise<{
  readonly group: Group;
  readonly point: RecoveryPoint;
  readonly adopts: Adoption | undefined;
}> {
  const group = await tx.groups.need(groupId);
  requireHolder(groupId, group.ownership, here);
  await requireFree(tx, group);
  const fork = 'forkId' in to ? await needFork(tx, groupId, to.forkId) : undefined;
  if (fork !== undefined) requireAdoptable(group, fork, kept);
  const pointId = 'forkId' in to ? (fork?.basePointId ?? ('' as PointId)) : to.pointId;
  const point = await tx.points.get(pointId);
  if (point?.groupId !== groupId || point.expiring) {
    return refuse({ code: 'point_missing', groupId, pointId });
  }
  if (fork === undefined) requireVolumes(group, point);
  return { group, point, adopts: fork && { forkId: fork.id, copyId: undefined } };
}

/** A volume that came later would be gone from the group, one that left would be in two. */
function requireVolumes({ name, volumeIds }: Group, { volumes, sequence }: RecoveryPoint): void {
  const its = volumes.map(({ volumeId }) => volumeId);
  if (its.length === volumeIds.length && its.every((id) => volumeIds.includes(id))) return;
  const why = `it has other volumes than group ${name} has now; clone it instead`;
  refuse({ code: 'unsupported', what: `restoring point ${sequence}`, why });
}

function tokenOf({ id, ownership }: Group, point: RecoveryPoint, adopts?: Adoption): string {
  return confirmationFor('restore', id, ownership.epoch, point.id, adopts?.forkId ?? '');
}
