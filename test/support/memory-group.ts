import type { ForkId, GroupId, PointId, VolumeId } from '../../src/domain/ids.ts';
import type { ReceivePoint, SealedPoint, SentPoint } from '../../src/ports/engine.ts';
import type { GroupContent, VolumeContent } from './volume-content.ts';

/** What a memory engine keeps of a group. All but `plane` outlives a crash of its data plane. */
export interface MemoryGroup {
  readonly id: GroupId;
  readonly port: number;
  present: Map<VolumeId, VolumeContent> | undefined;
  /** Oldest first. */
  points: readonly MemoryPoint[];
  forks: readonly MemoryFork[];
  /** The last send that got all through: known also when its process is gone. */
  sent: FinishedSend | undefined;
  plane: DataPlane | undefined;
}

export interface FinishedSend {
  readonly pointId: PointId;
  readonly basePointId: PointId | undefined;
  readonly targetInstance: string;
  readonly result: SentPoint;
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
  readonly allocatedBytes: number;
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
  readonly pointId: PointId;
  readonly targetInstance: string;
  readonly to: { readonly host: string; readonly port: number };
  /** Blocks that the target acknowledged, by volume. */
  readonly done: ReadonlyMap<VolumeId, Set<number>>;
  readonly cancel: AbortController;
  sentBytes: number;
  restarted: boolean;
  sent: SentPoint | undefined;
}

export function findPoint({ points }: MemoryGroup, pointId: PointId): MemoryPoint | undefined {
  return points.find(({ sealed }) => sealed.pointId === pointId);
}
