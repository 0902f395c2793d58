/** That a synchronous session's destination has what it says it has (design, section 4). */
import type { GroupId, MirrorId, PointId } from '../../src/domain/ids.ts';
import type { FilledStandby } from '../../src/domain/failover-basis.ts';
import type { Synchrony } from '../../src/domain/synchrony.ts';
import type { Failover } from '../../src/sagas/failover.ts';
import type { GroupContent } from '../support/volume-content.ts';
import type { Observed } from './check-lines.ts';
import { Violation } from './story.ts';
import { difference, tagsOf } from './truth.ts';
import type { Tags, Truth } from './truth.ts';

/**
 * What a failover begins with where it stands on a standby: that becomes a point only afterwards,
 * and may be written until then.
 */
export function fillingStandby(
  truth: Truth,
  observed: Observed,
  groupId: GroupId,
  pointId: PointId | undefined,
): { readonly pointId: PointId; readonly tags: Tags } | undefined {
  const { site, mirror } = observed;
  if (pointId === undefined || truth.sealed.has(pointId)) return undefined;
  const inputs = [...mirror.sagas.values()].map(({ input }) => input as Partial<Failover>);
  const standby = inputs.find((input) => input.standby?.pointId === pointId)?.standby;
  const filled = standby && filledBy(observed, groupId, standby.mirrorId);
  if (standby === undefined || filled === undefined) return undefined;
  const tags = tagsOf(filled);
  requireAll(truth, groupId, tags, standby, `a failover at ${site.name}`);
  return { pointId, tags };
}

function filledBy(
  { site, mirror }: Observed,
  groupId: GroupId,
  mirrorId: MirrorId | undefined,
): GroupContent | undefined {
  const { standby, points = [] } = site.engine.held(groupId) ?? {};
  if (standby !== undefined && standby.request.mirrorId === mirrorId) return standby.content;
  // First the bytes become a point, then it is recorded.
  return points.find(({ sealed }) => !mirror.points.has(sealed.pointId))?.content;
}

/** While the destination has recorded a standby as complete up to an instant, it is that. */
export function checkStandbys(truth: Truth, observed: Observed): void {
  const { site, mirror } = observed;
  for (const { groupId, role, sync } of mirror.sessions.values()) {
    if (role !== 'destination' || sync?.completeUpTo === undefined) continue;
    if (mirror.groups.get(groupId)?.ownership.holder === site.id) continue;
    const at = `${site.name}, which says it is complete`;
    const { mirrorId, completeUpTo } = sync;
    const filled = filledBy(observed, groupId, mirrorId);
    if (mirrorId === undefined || filled === undefined) {
      throw new Violation(`group ${groupId} at ${at}, has no standby of ${mirrorId}`);
    }
    requireAll(truth, groupId, tagsOf(filled), { mirrorId, completeUpTo }, at);
  }
}

/** Hosts that would go on alone wait: then nothing that was acknowledged is missing, whatever fails. */
function holdsAll({ onLoss, released, unproven, condition }: Synchrony): boolean {
  const isKept = onLoss === 'hold' && released !== true && unproven === undefined;
  return isKept && condition.state !== 'catching_up';
}

/**
 * While both sites record a group in sync and its mirror has not failed, both have the same bytes.
 * So they have where hosts are held, until they are released.
 */
export function checkInSync(observed: readonly Observed[]): void {
  for (const source of observed) {
    for (const { groupId, role, sync } of source.mirror.sessions.values()) {
      if (role !== 'source' || sync === undefined) continue;
      const isHolding = holdsAll(sync);
      if (sync.condition.state !== 'in_sync' && !isHolding) continue;
      const { present, mirror, plane } = source.site.engine.held(groupId) ?? {};
      const other = observed.find((one) => one !== source);
      const there = other?.site.engine.held(groupId);
      const isCarried =
        mirror?.failed === undefined &&
        plane?.instance === mirror?.plane &&
        there?.plane?.instance === there?.standby?.plane;
      // A present that went back to a point has no mirror any more, and is not served before that is said.
      if (present === undefined || mirror === undefined) continue;
      if (!isCarried && !isHolding) continue;
      if (there?.standby === undefined || there.standby.request.mirrorId !== sync.mirrorId)
        continue;
      const wrong = difference(tagsOf(present), tagsOf(there.standby.content), () => false);
      if (wrong === undefined) continue;
      throw new Violation(`in sync is the same at both sites: group ${groupId}: ${wrong}`);
    }
  }
}

/** Writes are numbered, and a mirror carries them in order: what is there is no older. */
function requireAll(
  truth: Truth,
  groupId: GroupId,
  tags: Tags,
  { mirrorId, completeUpTo }: Pick<FilledStandby, 'mirrorId' | 'completeUpTo'>,
  who: string,
): void {
  const promised = truth.lookAt(mirrorId, completeUpTo);
  if (promised === undefined) {
    throw new Violation(
      `nobody looked at ${mirrorId} of group ${groupId} at ${completeUpTo}, of which ${who} speaks`,
    );
  }
  for (const [volumeId, blocks] of promised) {
    for (const [block, write] of blocks) {
      const there = tags.get(volumeId)?.get(block) ?? 0;
      if (there >= write || truth.hasLeft(groupId, volumeId)) continue;
      throw new Violation(
        `no write is lost that was in sync: ${who}: group ${groupId}, volume ${volumeId}, ` +
          `block ${block}: wanted write ${write} or later, is ${there}`,
      );
    }
  }
}
