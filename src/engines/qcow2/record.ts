import type {
  CopyId,
  ForkId,
  GroupId,
  Instant,
  MirrorId,
  PointId,
  SiteId,
  VolumeId,
} from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { SentDifference } from '../../ports/engine-comparison.ts';
import type { CopyOf } from '../../ports/engine-copies.ts';
import type { ReceivingTarget, VolumeSpec } from '../../ports/engine.ts';
import type { Importing, Kept } from './import-record.ts';

/**
 * What the engine must know of a group when every process is gone. A volume is a chain of layers,
 * each a file on top of the one before:
 *
 *   layers: 0 (seals p1) ◀── 1 (seals p2) ◀── 2 (seals nothing, the last: hosts write it)
 *
 * A layer below the last that seals nothing is merged away sooner or later. Histories beside this
 * line (forks, copies) name layers, too, some of them the same ones: a file goes when nothing names
 * it any more, and keeps its name until then. What is begun and could not be recognised afterwards
 * is written here before: `sealing`, `receiving`, `sending`, `comparing`.
 */
export interface GroupRecord {
  readonly version: 2;
  readonly port: number | undefined;
  readonly hasPresent: boolean;
  readonly nextKey: number;
  /** Number of the next layer of any volume. Never used again within the group. */
  readonly nextLayer: number;
  readonly volumes: readonly VolumeRecord[];
  /** Oldest first. */
  readonly points: readonly PointRecord[];
  readonly forks: readonly ForkRecord[];
  readonly copies: readonly CopyRecord[];
  /** The fork that became the present, until the group goes back to a point. */
  readonly adopted: Adopted | undefined;
  /** Names of files that nothing needs any more. */
  readonly garbage: readonly string[];
  readonly sealing: Sealing | undefined;
  readonly receiving: Receiving | undefined;
  readonly sending: Sending | undefined;
  readonly sent: Sent | undefined;
  readonly standby: Standby | undefined;
  readonly mirror: Mirror | undefined;
  readonly comparing: Comparing | undefined;
  readonly sentDifference: DifferenceSent | undefined;
  readonly importing: Importing | undefined;
  readonly kept: Kept | undefined;
  /** On their way to another group, which may know them already. */
  readonly leaving: readonly VolumeRecord[];
}

export interface VolumeRecord extends VolumeSpec {
  /** Names the volume's nodes in the daemon. Never used again within the group. */
  readonly key: number;
  /** Oldest first. */
  readonly layers: readonly Layer[];
}

export interface Layer {
  readonly number: number;
  readonly seals: PointId | undefined;
  /** Stands on nothing, though there may be older layers. */
  readonly isRoot: boolean;
}

export interface PointRecord {
  readonly pointId: PointId;
  readonly sealedAt: Instant;
  readonly pauseMs: number;
  readonly volumes: readonly VolumeSpec[];
  /** The instance of the place that it came into; undefined: it was sealed here. */
  readonly receivedBy?: string;
}

/** What is not the group's line, from a point of that line on. */
export interface History {
  readonly basePointId: PointId;
  /** Every volume that any state of it has, with its layers above the base point. */
  readonly volumes: readonly HistoryVolume[];
  /** As it was last. */
  readonly members: readonly VolumeSpec[];
  /** Above the base, oldest first. */
  readonly points: readonly PointRecord[];
}

export interface HistoryVolume extends VolumeRecord {
  /** The line's layer that its layers stand on; undefined: the base point has nothing of it. */
  readonly base: number | undefined;
}

export interface ForkRecord extends History {
  readonly forkId: ForkId;
}

/** A copy's history is what it shows; what is written to it is in the scratch layers. */
export interface CopyRecord extends History {
  readonly copyId: CopyId;
  readonly of: CopyOf;
  readonly writable: boolean;
  readonly hosts: readonly string[];
  readonly port: number | undefined;
  readonly chains: readonly CopyChain[];
}

export interface CopyChain {
  readonly volumeId: VolumeId;
  /** Layers that its process reads, lowest first. */
  readonly numbers: readonly number[];
  readonly scratch: number | undefined;
}

export interface Adopted {
  readonly forkId: ForkId;
  readonly asideForkId: ForkId;
  readonly pointIds: readonly PointId[];
  readonly volumes: readonly VolumeSpec[];
}

/** The overlays are on disk; whether hosts write them already, the daemon knows. */
export interface Sealing {
  readonly pointId: PointId;
  readonly startedAt: Instant;
  /** Hosts were held too long: whatever comes of it is no point. */
  readonly tooLong: boolean;
  readonly overlays: readonly { readonly volumeId: VolumeId; readonly number: number }[];
}

export interface Receiving {
  readonly pointId: PointId;
  readonly basePointId: PointId | undefined;
  readonly peerId: SiteId;
  /** Of the daemon that holds what has come. With another one it is lost. */
  readonly instance: string;
  readonly volumes: readonly ReceivingVolume[];
}

export interface ReceivingVolume extends VolumeSpec {
  readonly key: number;
  readonly number: number;
  readonly base: number | undefined;
}

/** Beside the chain, on its newest point's layers: it takes the top of the chain once it is kept. */
export interface Standby {
  readonly mirrorId: MirrorId;
  readonly basePointId: PointId;
  readonly peerId: SiteId;
  /** Of the daemon that had it open. What that one acknowledged is on disk whatever became of it. */
  readonly instance: string;
  readonly volumes: readonly ReceivingVolume[];
}

export interface Mirror {
  readonly mirrorId: MirrorId;
  readonly target: ReceivingTarget;
  /** Of the daemon that carries it. */
  readonly instance: string;
  /** Its hosts wait for it as long as it takes. */
  readonly holds?: boolean;
}

export interface Sending {
  readonly pointId: PointId;
  readonly basePointId: PointId | undefined;
  readonly peerId: SiteId;
  readonly target: ReceivingTarget;
  /** Of the daemon that sends. */
  readonly instance: string;
  readonly restarted: boolean;
  /** By attempts whose jobs are gone. */
  readonly sentBytesBefore: number;
}

export interface Sent {
  readonly pointId: PointId;
  readonly basePointId: PointId | undefined;
  readonly targetInstance: string;
  readonly sentBytes: number;
  readonly restarted: boolean;
  readonly wholeVolumes: readonly VolumeId[];
}

/** What of a point is compared already, while the target is the same instance. */
export interface Comparing {
  readonly pointId: PointId;
  readonly peerId: SiteId;
  readonly target: ReceivingTarget;
  readonly rangeBytes: number;
  readonly restarted: boolean;
  readonly comparedBytes: number;
  readonly sentBytes: number;
  /** Ranges from the first on that are equal there by now. */
  readonly done: readonly { readonly volumeId: VolumeId; readonly ranges: number }[];
}

export interface DifferenceSent extends SentDifference {
  readonly pointId: PointId;
  readonly targetInstance: string;
}

export const EMPTY_RECORD: GroupRecord = {
  version: 2,
  port: undefined,
  hasPresent: false,
  nextKey: 0,
  nextLayer: 0,
  volumes: [],
  points: [],
  forks: [],
  copies: [],
  adopted: undefined,
  garbage: [],
  sealing: undefined,
  receiving: undefined,
  sending: undefined,
  sent: undefined,
  standby: undefined,
  mirror: undefined,
  comparing: undefined,
  sentDifference: undefined,
  importing: undefined,
  kept: undefined,
  leaving: [],
};

/** @throws Failure when another version of this engine wrote it */
export function parseRecord(groupId: GroupId, document: unknown): GroupRecord | undefined {
  if (document === undefined || document === null) return undefined;
  const version = (document as { readonly version?: unknown }).version;
  if (version === 2) return { ...EMPTY_RECORD, ...(document as GroupRecord) };
  throw new Failure(
    `group ${groupId}: wanted an engine record of version 2, got ${String(version)}`,
  );
}

/** The layer that hosts write, if the volume is part of the present. */
export function activeLayer({ layers }: VolumeRecord): Layer | undefined {
  const last = layers.at(-1);
  return last?.seals === undefined ? last : undefined;
}

export function presentVolumes({ volumes }: GroupRecord): readonly VolumeRecord[] {
  return volumes.filter((volume) => activeLayer(volume) !== undefined);
}

export function sealedLayer({ layers }: VolumeRecord, pointId: PointId): Layer | undefined {
  return layers.find((layer) => layer.seals === pointId);
}

/** What the layer at this place stands on. */
export function layerBelow({ layers }: VolumeRecord, index: number): Layer | undefined {
  return layers[index]?.isRoot === true ? undefined : layers[index - 1];
}

export function findPoint({ points }: GroupRecord, pointId: PointId): PointRecord | undefined {
  return points.find((point) => point.pointId === pointId);
}

export function findVolume({ volumes }: GroupRecord, volumeId: VolumeId): VolumeRecord | undefined {
  return volumes.find((volume) => volume.volumeId === volumeId);
}

export function specOf({ volumeId, name, sizeBytes }: VolumeSpec): VolumeSpec {
  return { volumeId, name, sizeBytes };
}

/** The same record with one volume changed. */
export function withVolume(
  record: GroupRecord,
  volumeId: VolumeId,
  change: (volume: VolumeRecord) => VolumeRecord,
): GroupRecord {
  const volumes = record.volumes.map((v) => (v.volumeId === volumeId ? change(v) : v));
  return { ...record, volumes };
}

export function addLayer(volume: VolumeRecord, layer: Layer): VolumeRecord {
  return { ...volume, layers: [...volume.layers, layer] };
}

/** @example layerFile('0b5c…', 3) is '0b5c….3.qcow2' */
export function layerFile(volumeId: VolumeId, number: number): string {
  return `${volumeId}.${number}.qcow2`;
}

/** Gathers several layers for one send. */
export function gatheredFile(volumeId: VolumeId): string {
  return `${volumeId}.gathered.qcow2`;
}
