/** Who may write, and that what was acknowledged is kept (design, section 3: 1, 2, 3, 6). */
import type { Group } from '../../src/domain/group.ts';
import type { MemoryGroup } from '../support/memory-group.ts';
import { fillingStandby } from './check-mirrors.ts';
import type { Mirror } from './mirror.ts';
import type { SimulatedSite } from './site.ts';
import { Violation } from './story.ts';
import { copyOf, difference, tagsOf } from './truth.ts';
import type { Line, Tags, Truth } from './truth.ts';

export interface Observed {
  readonly site: SimulatedSite;
  readonly mirror: Mirror;
}

/** A site's row of a group has become another: epochs grow, and lines begin where they may. */
export function checkChange(
  truth: Truth,
  observed: Observed,
  before: Group | undefined,
  after: Group,
): void {
  const { site } = observed;
  const { id, ownership, standsOn } = after;
  const { holder, epoch, forced } = ownership;
  const was = before?.ownership;
  const at = `group ${id} at ${site.name}`;
  if (was !== undefined && epoch < was.epoch) {
    throw new Violation(`epochs only grow: ${at} went from ${was.epoch} to ${epoch}`);
  }
  if (epoch === was?.epoch && holder !== was.holder) {
    throw new Violation(
      `one holder per epoch: ${at}, epoch ${epoch}, from ${was.holder} to ${holder}`,
    );
  }
  if (holder !== site.id) return;
  const known = truth.line(id, epoch);
  if (known !== undefined) {
    const sealed = standsOn && truth.sealed.get(standsOn);
    if (known.waitsFor !== undefined && sealed !== undefined) truth.beginOn(known, sealed);
    return checkGoingBack(truth, known, before, after);
  }
  if (was !== undefined && epoch !== was.epoch + 1) {
    throw new Violation(`epochs grow by one: ${at} took ${epoch} after ${was.epoch}`);
  }
  const filling = forced ? fillingStandby(truth, observed, id, standsOn) : undefined;
  const began =
    epoch === 1 ? new Map<never, never>() : (filling?.tags ?? beginning(truth, after, at));
  truth.begin({ groupId: id, epoch, holder, forced, began, waitsFor: filling?.pointId });
  if (epoch > 1 && standsOn === undefined)
    throw new Violation(`${at} took epoch ${epoch} to stand on nothing`);
}

/** Within an epoch hosts' history becomes another one only by a restore, to what was sealed once. */
function checkGoingBack(
  truth: Truth,
  line: Line,
  before: Group | undefined,
  { id, ownership, standsOn }: Group,
): void {
  if (before === undefined || before.ownership.history.id === ownership.history.id) return;
  if (before.ownership.epoch !== ownership.epoch) return;
  const sealed = standsOn && truth.sealed.get(standsOn);
  if (standsOn === undefined || sealed === undefined)
    throw new Violation(`group ${id} went back to what was never sealed`);
  truth.goBack(line, standsOn, sealed);
}

function beginning(truth: Truth, { id, ownership, standsOn }: Group, at: string): Tags {
  const sealed = standsOn && truth.sealed.get(standsOn);
  if (sealed === undefined)
    throw new Violation(`${at} stands on ${standsOn}, which was never sealed`);
  if (ownership.forced) return copyOf(sealed);
  const given = truth.line(id, ownership.epoch - 1);
  if (given === undefined)
    throw new Violation(`${at} was given epoch ${ownership.epoch} by nobody`);
  const lost = difference(given.content, sealed, (v) => truth.hasLeft(id, v));
  if (lost !== undefined)
    throw new Violation(`a handover loses nothing: ${at}, last point: ${lost}`);
  given.wasGiven = true;
  return copyOf(given.content);
}

/** Hosts reach a group only at its holder, and see the line that is written there. */
export function checkServing(truth: Truth, observed: readonly Observed[]): void {
  const serving: Line[] = [];
  for (const { site, mirror } of observed) {
    for (const groupId of truth.lines.keys()) {
      const held = site.engine.held(groupId);
      if (!isServing(held)) continue;
      const ownership = mirror.groups.get(groupId)?.ownership;
      const line = ownership && truth.line(groupId, ownership.epoch);
      const at = `group ${groupId} at ${site.name}`;
      if (ownership?.holder !== site.id || line === undefined) {
        throw new Violation(
          `one writer: ${at} is open to hosts; its store: ${JSON.stringify(ownership)}`,
        );
      }
      if (line.wasGiven)
        throw new Violation(`one writer: ${at} is open after it was taken elsewhere`);
      const seen = tagsOf(held.present ?? new Map<never, never>());
      const lost = difference(line.content, seen, (v) => truth.hasLeft(groupId, v));
      if (lost !== undefined) throw new Violation(`no acknowledged write is lost: ${at}: ${lost}`);
      serving.push(line);
    }
  }
  for (const [index, one] of serving.entries()) {
    const other = serving.find((line, at) => at > index && line.groupId === one.groupId);
    if (other !== undefined) checkBoth(truth, one, other);
  }
}

/** Two may serve one group only while the later one took it by force and the other has not heard. */
function checkBoth(truth: Truth, one: Line, other: Line): void {
  const [early, late] = one.epoch < other.epoch ? [one, other] : [other, one];
  const between = truth
    .linesOf(one.groupId)
    .filter(({ epoch }) => epoch > early.epoch && epoch <= late.epoch);
  if (between.some(({ forced }) => forced)) return;
  throw new Violation(
    `one writer: group ${one.groupId} is open at both sites, epochs ${early.epoch} and ${late.epoch}`,
  );
}

/** What a line ended with is somewhere: hosts' present, a fork, or a point that others stand on. */
export function checkNothingDiscarded(truth: Truth, observed: readonly Observed[]): void {
  for (const groupId of truth.lines.keys()) {
    if (truth.discarded.has(groupId)) continue;
    const mayMiss = (volumeId: Parameters<Truth['hasLeft']>[1]): boolean =>
      truth.hasLeft(groupId, volumeId);
    const ends = truth.linesOf(groupId).filter((line) => !line.wasGiven && !line.waitsFor);
    const abandoned = truth.abandoned.get(groupId) ?? [];
    if (ends.length < 2 && abandoned.length === 0) continue;
    const kept = observed.flatMap(({ site }) => contentsOf(site.engine.held(groupId)));
    for (const content of abandoned) {
      if (kept.some((one) => difference(content, one, mayMiss) === undefined)) continue;
      throw new Violation(
        `nothing is silently discarded: group ${groupId}, what a restore gave up is in no fork`,
      );
    }
    for (const line of ends) {
      const isKept =
        kept.some((content) => difference(line.content, content, mayMiss) === undefined) ||
        ends.some(
          (later) =>
            later.epoch > line.epoch &&
            later.forced &&
            difference(line.content, later.began, mayMiss) === undefined,
        );
      if (isKept) continue;
      throw new Violation(
        `nothing is silently discarded: group ${groupId}, what epoch ${line.epoch} wrote is in no present and no fork`,
      );
    }
  }
}

function contentsOf(held: MemoryGroup | undefined): readonly Tags[] {
  if (held === undefined) return [];
  const contents = [...held.forks.map((f) => f.content), ...held.points.map((p) => p.content)];
  if (held.present !== undefined) contents.push(held.present);
  return contents.map(tagsOf);
}

export function isServing(held: MemoryGroup | undefined): held is MemoryGroup {
  return (held?.plane?.served?.volumeIds.size ?? 0) > 0;
}
