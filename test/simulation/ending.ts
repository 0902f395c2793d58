/** Once everything is up, an operator puts replication right, and then all is as it should be. */
import type { App } from '../../src/app/app.ts';
import type { GroupId, VolumeId } from '../../src/domain/ids.ts';
import { Failure, Refusal } from '../../src/domain/refusal.ts';
import { hasEnded } from '../../src/domain/saga-record.ts';
import { newestCommon } from '../../src/domain/recovery-point.ts';
import type { Observed } from './check-lines.ts';
import type { Mirror } from './mirror.ts';
import { isServing } from './check-lines.ts';
import { difference, tagsOf } from './truth.ts';
import type { Truth } from './truth.ts';

/** @returns why the world is not at rest yet, in words; empty when it is */
export function unrest(truth: Truth, observed: readonly Observed[]): readonly string[] {
  const why: string[] = [];
  for (const { site, mirror } of observed) {
    for (const saga of mirror.sagas.values()) {
      if (hasEnded(saga) || saga.kind === 'replicate') continue;
      const { kind, id, state, doing, attempts, trouble } = saga;
      why.push(
        `${site.name}: ${kind} ${id} is ${state}: ${doing}, attempt ${attempts}: ${trouble}`,
      );
    }
    for (const group of mirror.groups.values()) {
      if (group.operation !== undefined)
        why.push(`${site.name}: ${group.id} is locked by ${group.operation}`);
      const held = site.engine.held(group.id);
      const holds = group.ownership.holder === site.id;
      if (holds && group.volumeIds.length > 0 && !isServing(held))
        why.push(`${site.name}: ${group.id} is not served`);
      if (!holds && held?.present !== undefined && isProtected(group.id, observed))
        why.push(`${site.name}: ${group.id} still has a present`);
    }
  }
  for (const groupId of truth.lines.keys()) why.push(...disagreements(groupId, observed));
  return why;
}

function disagreements(groupId: GroupId, observed: readonly Observed[]): readonly string[] {
  const rows = observed.flatMap(({ mirror }) => mirror.groups.get(groupId) ?? []);
  if (!isProtected(groupId, observed)) return [];
  const words: string[] = [];
  const owners = new Set(rows.map(({ ownership }) => JSON.stringify(ownership)));
  if (owners.size > 1) words.push(`${groupId}: the sites disagree: ${[...owners].join(' and ')}`);
  const holders = rows.filter(({ ownership }, at) => ownership.holder === observed[at]?.site.id);
  if (rows.length === observed.length && holders.length !== 1)
    words.push(`${groupId} has ${holders.length} holders`);
  return words;
}

/** What an operator would do next for a group so that it replicates again. */
export async function putRight(groupId: GroupId, { site, mirror }: Observed): Promise<string> {
  const { app } = site;
  const session = mirror.sessionOf(groupId);
  const group = mirror.groups.get(groupId);
  if (app !== undefined) await discardCopies(app, groupId);
  if (app === undefined || session === undefined) return '';
  const { id: sessionId, state, pause } = session;
  const holds = group?.ownership.holder === site.id;
  // A destination that is paused alone is paused at both sides first, and then resumed.
  if (!holds && state !== 'paused') return '';
  const right = {
    paused: () =>
      pause?.bothSides === true
        ? app.resumeSession({ sessionId })
        : app.pauseSession({ sessionId, by: 'operator' }),
    failed_over: () => app.reprotectGroup({ groupId }),
  };
  try {
    const conflict = await conflictOf(app, groupId, mirror);
    if (conflict !== undefined) return await leaveOut(app, groupId, conflict);
    if (state !== 'paused' && state !== 'failed_over') return '';
    await right[state]();
    return `operator at ${site.name}: puts ${groupId} right, which was ${state}`;
  } catch (error) {
    if (error instanceof Refusal || error instanceof Failure) return `${groupId}: ${error.message}`;
    throw error;
  }
}

/** A test holds up handovers, and a clone the members. */
async function discardCopies(app: App, groupId: GroupId): Promise<void> {
  try {
    const copies = await app.listCopies({ groupId });
    for (const { id, state } of copies) if (state === 'open') await app.discardCopy({ copyId: id });
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof Failure)) throw error;
  }
}

/**
 * A volume that left the group at one site, and came back with a failover at the other, is in two
 * groups. Which is the right one only an operator can say; here, the one that it moved to.
 */
async function conflictOf(
  app: App,
  groupId: GroupId,
  mirror: Mirror,
): Promise<VolumeId | undefined> {
  const sagas = [...mirror.sagas.values()].filter((saga) => saga.groupId === groupId);
  const reason = sagas.at(-1)?.outcome?.reason;
  if (reason?.code !== 'already_exists' || reason.what !== 'volume') return undefined;
  const volumes = await app.listVolumes();
  return volumes.find((v) => v.name === reason.name && v.groupId === groupId)?.id;
}

async function leaveOut(app: App, groupId: GroupId, volumeId: VolumeId): Promise<string> {
  const { volumeIds } = await app.showGroup(groupId);
  if (volumeIds.length > 1) await app.removeVolume({ groupId, volumeId });
  else await app.unprotectGroup({ groupId, discardCopy: false });
  return `operator leaves ${volumeId} out of ${groupId}`;
}

/** Why a protected group does not replicate as it should; empty when it does. */
export function notReplicating(
  groupId: GroupId,
  observed: readonly Observed[],
  sinceMs: number,
): readonly string[] {
  if (!isProtected(groupId, observed)) return [];
  const words: string[] = [];
  for (const at of observed) {
    const session = at.mirror.sessionOf(groupId);
    const holds = at.mirror.groups.get(groupId)?.ownership.holder === at.site.id;
    const { state, role, parkedBecause } = session ?? {};
    const is = `${at.site.name}: the session of ${groupId} is ${state} as ${role}, ${parkedBecause}`;
    if (session === undefined || session.role !== (holds ? 'source' : 'destination'))
      words.push(is);
    else if (!['ok', 'synchronizing'].includes(session.state)) words.push(is);
    else if (holds && !hasCycledSince(groupId, at, sinceMs)) words.push(`${is}: no cycle since`);
    else if (session.sync !== undefined && session.sync.condition.state !== 'in_sync')
      words.push(`${is}: ${session.sync.condition.state}, ${session.sync.condition.why}`);
  }
  return words;
}

/** The holder's word counts: a session that only the other site still has is nobody's. */
export function isProtected(groupId: GroupId, observed: readonly Observed[]): boolean {
  return observed.some(
    ({ site, mirror }) =>
      mirror.groups.get(groupId)?.ownership.holder === site.id &&
      mirror.sessionOf(groupId) !== undefined,
  );
}

function hasCycledSince(groupId: GroupId, { mirror }: Observed, sinceMs: number): boolean {
  return [...mirror.sagas.values()].some(
    ({ id, kind, state, groupId: of }) =>
      kind === 'replicate' &&
      state === 'done' &&
      of === groupId &&
      (mirror.endedAtMs.get(id) ?? 0) >= sinceMs,
  );
}

/** After a sync with hosts at rest both sites hold the same bytes. */
export function contentsDiffer(
  truth: Truth,
  groupId: GroupId,
  observed: readonly Observed[],
): string | undefined {
  const holder = observed.find(
    ({ site, mirror }) => mirror.groups.get(groupId)?.ownership.holder === site.id,
  );
  const other = observed.find((one) => one !== holder);
  if (holder === undefined || other === undefined) return `${groupId} has no holder`;
  const common = newestCommon(holder.mirror.pointsOf(groupId));
  const there = other.site.engine.held(groupId)?.points.at(-1);
  if (common === undefined || there?.sealed.pointId !== common.id) {
    return `${groupId}: ${other.site.name} has ${there?.sealed.pointId} on top, wanted ${common?.id}`;
  }
  const present = holder.site.engine.held(groupId)?.present;
  if (present === undefined) return `${groupId} has no present`;
  const wrong = difference(tagsOf(present), tagsOf(there.content), () => false);
  return (
    wrong && `${groupId} at ${other.site.name} after a sync: ${wrong} (${truth.lines.size} groups)`
  );
}
