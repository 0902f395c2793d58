/**
 * What hosts were told, kept outside of both sites. A *line* is the history that one epoch's holder
 * writes: it begins where the line before it was given away, or at the point that a forced claim
 * stands on, and holds every acknowledged write since.
 */
import type { GroupId, Instant, MirrorId, PointId, VolumeId } from '../../src/domain/ids.ts';
import type { SiteId } from '../../src/domain/ids.ts';
import { BLOCK_BYTES } from '../support/volume-content.ts';
import type { GroupContent } from '../support/volume-content.ts';

/** Which numbered write each block holds, by volume. */
export type Tags = Map<VolumeId, Map<number, number>>;

export interface Line {
  readonly groupId: GroupId;
  readonly epoch: number;
  readonly holder: SiteId;
  readonly forced: boolean;
  readonly began: Tags;
  readonly content: Tags;
  /** The line that goes on where this one was given away. */
  wasGiven: boolean;
  /** A standby that is still being filled becomes this point, and the line begins with that. */
  waitsFor: PointId | undefined;
}

export class Truth {
  readonly lines = new Map<GroupId, Map<number, Line>>();
  readonly sealed = new Map<PointId, Tags>();
  /** Volumes that left a group at some time: its old points may lack them, or bring them back. */
  readonly left = new Map<GroupId, Set<VolumeId>>();
  /** What lines had when their holder went back to a point. */
  readonly abandoned = new Map<GroupId, readonly Tags[]>();
  /** Where a group's present went back to last: a point that the other site may have let go of. */
  readonly wentBackTo = new Map<GroupId, PointId>();
  /** Copies that an operator asked to delete. */
  readonly discarded = new Set<GroupId>();
  /**
   * What a line had when a look at its mirror began, by the clock of the site that looked: by
   * another's clock the same instant is another moment, of another line.
   */
  readonly #looks = new Map<MirrorId, Map<Instant, Tags>>();
  #writes = 0;

  line(groupId: GroupId, epoch: number): Line | undefined {
    return this.lines.get(groupId)?.get(epoch);
  }

  linesOf(groupId: GroupId): readonly Line[] {
    return [...(this.lines.get(groupId)?.values() ?? [])];
  }

  begin(line: Omit<Line, 'content' | 'wasGiven'>): void {
    const lines = this.lines.get(line.groupId) ?? new Map<number, Line>();
    this.lines.set(line.groupId, lines);
    lines.set(line.epoch, { ...line, content: copyOf(line.began), wasGiven: false });
  }

  /** Whoever is told later that all until this instant is at the other site has this in mind. */
  look(mirrorId: MirrorId, at: Instant, content: Tags): void {
    const looks = this.#looks.get(mirrorId) ?? new Map<Instant, Tags>();
    // A clock that was set back may show an instant twice: then the earlier one is what is promised.
    if (!looks.has(at)) looks.set(at, content);
    this.#looks.set(mirrorId, looks);
  }

  lookAt(mirrorId: MirrorId, at: Instant): Tags | undefined {
    return this.#looks.get(mirrorId)?.get(at);
  }

  /** A standby has become a point. A line that was to begin with it begins. */
  kept(groupId: GroupId, pointId: PointId, tags: Tags): void {
    if (this.sealed.has(pointId)) return;
    this.sealed.set(pointId, tags);
    for (const line of this.linesOf(groupId).filter(({ waitsFor }) => waitsFor === pointId)) {
      this.beginOn(line, tags);
    }
  }

  /** What a line waited for is known. */
  beginOn(line: Line, tags: Tags): void {
    line.waitsFor = undefined;
    become(line.began, tags);
    become(line.content, tags);
  }

  /** The line goes on from what was sealed once; what it had and that has not is kept somewhere. */
  goBack({ groupId, content }: Line, pointId: PointId, sealed: Tags): void {
    this.wentBackTo.set(groupId, pointId);
    if (difference(content, sealed, (v) => this.hasLeft(groupId, v)) !== undefined)
      this.abandoned.set(groupId, [...(this.abandoned.get(groupId) ?? []), copyOf(content)]);
    become(content, sealed);
  }

  nextWrite(): number {
    this.#writes += 1;
    return this.#writes;
  }

  hasLeft(groupId: GroupId, volumeId: VolumeId): boolean {
    return this.left.get(groupId)?.has(volumeId) === true;
  }

  /** A volume's bytes are in another group's present now, at the site that holds both. */
  move(volumeId: VolumeId, from: Line | undefined, to: Line | undefined): void {
    const blocks = from?.content.get(volumeId);
    if (from === undefined) return;
    this.#leave(from.groupId, volumeId);
    if (blocks !== undefined) to?.content.set(volumeId, blocks);
  }

  #leave(groupId: GroupId, volumeId: VolumeId): void {
    this.left.set(groupId, (this.left.get(groupId) ?? new Set()).add(volumeId));
    for (const { content, began } of this.linesOf(groupId)) {
      content.delete(volumeId);
      began.delete(volumeId);
    }
    for (const content of this.abandoned.get(groupId) ?? []) content.delete(volumeId);
  }
}

function become(tags: Tags, other: Tags): void {
  tags.clear();
  for (const [volumeId, blocks] of copyOf(other)) tags.set(volumeId, blocks);
}

/** A block that says which write it is. */
export function blockOf(write: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES);
  new DataView(bytes.buffer).setUint32(0, write);
  return bytes;
}

export function tagsOf(content: GroupContent): Tags {
  return new Map(
    [...content].map(([volumeId, { blocks }]) => [
      volumeId,
      new Map(
        [...blocks].map(([block, bytes]) => [
          block,
          new DataView(bytes.buffer, bytes.byteOffset).getUint32(0),
        ]),
      ),
    ]),
  );
}

export function copyOf(tags: Tags): Tags {
  return new Map([...tags].map(([volumeId, blocks]) => [volumeId, new Map(blocks)]));
}

/** In words where `seen` is not as `wanted`; undefined when all of `wanted` is there. */
export function difference(
  wanted: Tags,
  seen: Tags,
  mayMiss: (volumeId: VolumeId) => boolean,
): string | undefined {
  for (const [volumeId, blocks] of wanted) {
    const there = seen.get(volumeId);
    if (there === undefined) {
      if (mayMiss(volumeId) || blocks.size === 0) continue;
      return `volume ${volumeId} is not there`;
    }
    for (const block of new Set([...blocks.keys(), ...there.keys()])) {
      const [want, have] = [blocks.get(block) ?? 0, there.get(block) ?? 0];
      if (want !== have) {
        return `volume ${volumeId}, block ${block}: wanted write ${want}, is ${have}`;
      }
    }
  }
  return undefined;
}
