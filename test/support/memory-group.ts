import type { CopyId, ForkId, GroupId, PointId, VolumeId } from '../../src/domain/ids.ts';
import { refuse } from '../../src/domain/refusal.ts';
import type { SentDifference } from '../../src/ports/engine-comparison.ts';
import type { CopyOf } from '../../src/ports/engine-copies.ts';
import type { ReceivePoint, SealedPoint, SentPoint, VolumeSpec } from '../../src/ports/engine.ts';
import type { MemoryMirror, MemoryStandby } from './memory-mirror.ts';
import type { GroupContent, VolumeContent } from './volume-content.ts';

/** What a memory engine keeps of a group. All but `plane` outlives a crash of its data plane. */
export interface MemoryGroup {
  readonly id: GroupId;
  readonly port: number;
  present: Map<VolumeId, VolumeContent> | undefined;
  /** Oldest first. */
  points: readonly MemoryPoint[];
  forks: readonly MemoryFork[];
  copies: readonly MemoryCopy[];
  /** The fork that became the present, while it is that: known when the call is repeated. */
  adopted: Adopted | undefined;
  /** The last send that got all through: known also when its process is gone. */
  sent: FinishedSend | undefined;
  sentDifference: FinishedDifference | undefined;
  standby: MemoryStandby | undefined;
  mirror: MemoryMirror | undefined;
  plane: DataPlane | undefined;
}

export interface FinishedSend {
  readonly pointId: PointId;
  readonly basePointId: PointId | undefined;
  readonly targetInstance: string;
  readonly result: SentPoint;
}

export interface FinishedDifference {
  readonly pointId: PointId;
  readonly targetInstance: string;
  readonly result: SentDifference;
}

export interface Adopted {
  readonly forkId: ForkId;
  readonly asideForkId: ForkId;
  readonly pointIds: readonly PointId[];
  readonly volumes: readonly VolumeSpec[];
}

export interface MemoryPoint {
  readonly sealed: SealedPoint;
  readonly content: GroupContent;
  /** The place through which it came; absent where it was sealed. */
  readonly receivedBy?: string;
}

export interface MemoryFork {
  readonly forkId: ForkId;
  readonly basePointId: PointId;
  readonly content: GroupContent;
  readonly points: readonly MemoryPoint[];
}

export interface MemoryCopy {
  readonly copyId: CopyId;
  readonly of: CopyOf;
  readonly writable: boolean;
  readonly hosts: readonly string[];
  readonly port: number;
  /** Of the group, where the copy's history begins. */
  readonly basePointId: PointId;
  /** From there to what it shows. */
  readonly points: readonly MemoryPoint[];
  /** What it shows. */
  readonly base: GroupContent;
  readonly content: GroupContent;
  /** undefined: its process does not run. */
  readonly plane: { readonly hung: boolean } | undefined;
}

/** A process: what it holds is gone when it dies. */
export interface DataPlane {
  readonly instance: string;
  hung: boolean;
  /** The volumes that hosts may attach, and which hosts. */
  served:
    | { readonly hosts: readonly string[]; readonly volumeIds: ReadonlySet<VolumeId> }
    | undefined;
  receiving: Receiving | undefined;
  sending: Sending | undefined;
}

export interface Receiving {
  readonly request: ReceivePoint;
  /** Of this place: another one in the same process has nothing of what came here. */
  readonly instance: string;
  readonly content: Map<VolumeId, VolumeContent>;
}

export interface Sending {
  /** What is done are whole ranges, by number, of a comparison with what the target has. */
  readonly rangeBytes: number | undefined;
  comparedBytes: number;
  readonly pointId: PointId;
  readonly targetInstance: string;
  readonly to: { readonly host: string; readonly port: number };
  /** Blocks that the target acknowledged, by volume. */
  readonly done: ReadonlyMap<VolumeId, Set<number>>;
  readonly cancel: AbortController;
  sentBytes: number;
  restarted: boolean;
  /** All is there. */
  isOver: boolean;
}

export function findPoint({ points }: MemoryGroup, pointId: PointId): MemoryPoint | undefined {
  return points.find(({ sealed }) => sealed.pointId === pointId);
}

/** @throws Refusal `point_missing` */
export function needPoint(group: MemoryGroup, pointId: PointId): MemoryPoint {
  return findPoint(group, pointId) ?? refuse({ code: 'point_missing', groupId: group.id, pointId });
}

/** @throws Refusal `not_found` */
export function needFork({ forks }: MemoryGroup, forkId: ForkId): MemoryFork {
  const fork = forks.find((one) => one.forkId === forkId);
  return fork ?? refuse({ code: 'not_found', what: 'fork', id: forkId });
}

export function specOf({ volumeId, name, sizeBytes }: VolumeSpec): VolumeSpec {
  return { volumeId, name, sizeBytes };
}
