/** That points are what they say, and stay while they are needed (design, section 3: 4, 5). */
import { newestCommon } from '../../src/domain/recovery-point.ts';
import type { RecoveryPoint } from '../../src/domain/recovery-point.ts';
import { findPoint } from '../support/memory-group.ts';
import type { MemoryGroup } from '../support/memory-group.ts';
import type { GroupContent } from '../support/volume-content.ts';
import type { Observed } from './check-lines.ts';
import { Violation } from './story.ts';
import { difference, tagsOf } from './truth.ts';
import type { Truth } from './truth.ts';

/** Contents that were compared already; the engine never changes one. */
export type Compared = WeakSet<GroupContent>;

export function checkPoints(truth: Truth, { site, mirror }: Observed, compared: Compared): void {
  for (const point of mirror.points.values()) {
    if (point.expiring) continue;
    const { id, groupId } = point;
    const held = site.engine.held(groupId);
    const there = held && (findPoint(held, id) ?? setAside(held, point));
    const at = `point ${id} of group ${groupId} at ${site.name}`;
    if (there === undefined)
      throw new Violation(`a point exists: ${at} is recorded and is not there`);
    if (compared.has(there.content)) continue;
    const sealed = truth.sealed.get(id);
    if (sealed === undefined) throw new Violation(`a point exists: ${at} was never sealed`);
    const wrong = difference(sealed, tagsOf(there.content), (v) => truth.hasLeft(groupId, v));
    if (wrong !== undefined)
      throw new Violation(`a point has the bytes of its instant: ${at}: ${wrong}`);
    compared.add(there.content);
  }
}

/** An operation has just moved it into a fork, and its row goes with the next commit. */
function setAside(
  held: MemoryGroup,
  { id }: RecoveryPoint,
): MemoryGroup['points'][number] | undefined {
  return held.forks.flatMap(({ points }) => points).find(({ sealed }) => sealed.pointId === id);
}

/** The newest common point is at both sites, and every fork stands on something. */
export function checkNeeded(truth: Truth, observed: readonly Observed[]): void {
  for (const here of observed) {
    for (const groupId of truth.lines.keys()) checkForks(here, groupId);
    for (const session of here.mirror.sessions.values()) {
      const there = observed.find((other) => other !== here);
      const { groupId, role } = session;
      const own = here.mirror.groups.get(groupId)?.ownership;
      const their = there?.mirror.groups.get(groupId)?.ownership;
      if (role !== 'source' || own?.holder !== here.site.id || own.epoch !== their?.epoch) continue;
      if (truth.discarded.has(groupId) || there === undefined) continue;
      // Until the histories were compared nobody knows what a forced claim still has in common.
      if (session.state === 'failed_over' || session.state === 'reprotecting') continue;
      const common = newestCommon(here.mirror.pointsOf(groupId));
      if (common === undefined) continue;
      // Until the other site has heard of a restore it may let go of where that went back to.
      const line = there.mirror.sessionOf(groupId)?.line;
      if (truth.wentBackTo.get(groupId) === common.id && session.line !== line) continue;
      // A later one, too, may be complete there already, and the answer is on its way or lost.
      const isThere = here.mirror
        .pointsOf(groupId)
        .filter(({ sequence }) => sequence >= common.sequence)
        .some(({ id }) => there.mirror.points.get(id)?.expiring === false);
      if (isThere) continue;
      throw new Violation(
        `nothing needed is deleted: group ${groupId}, newest common point ${common.id} is not at ${there.site.name}`,
      );
    }
  }
}

function checkForks({ site }: Observed, groupId: Parameters<Truth['linesOf']>[0]): void {
  const held = site.engine.held(groupId);
  for (const { forkId, basePointId } of held?.forks ?? []) {
    const beneath = [
      ...(held?.points ?? []),
      ...(held?.forks.flatMap((fork) => fork.points) ?? []),
    ];
    if (beneath.some(({ sealed }) => sealed.pointId === basePointId)) continue;
    throw new Violation(
      `nothing needed is deleted: fork ${forkId} at ${site.name} has lost its base ${basePointId}`,
    );
  }
}
