import type { Mirroring } from './mirroring.ts';
import type {
  ForkId,
  GroupId,
  HistoryId,
  Instant,
  PointId,
  SiteId,
  VolumeId,
} from '../domain/ids.ts';
import type { ComparisonEngine } from './engine-comparison.ts';
import type { CopyEngine, CopyInspection } from './engine-copies.ts';

/**
 * The data plane in our words: groups, points, deltas, exports, forks. How an adapter keeps
 * them (layers, images, snapshots) stays within it, and so does its own durable record of that.
 *
 * A group's history is a line of points; above the newest one there may be a *present*, which
 * hosts write. A site with a present is (or was) the holder; one without receives.
 *
 *   empty ── createVolume ──▶ present ── sealPoint ──▶ points + present
 *   empty ── receivePoint, completePoint ──▶ points          (the destination)
 *   points ── promote ──▶ points + present ── demote ──▶ points (+ fork)
 *
 * Every call may be repeated, at once or after a crash of this process or of the data plane at
 * any instant, and then ends as the first would have. Calls for one group wait for each other
 * where they must. A `Failure` means the world did not work; what was there before is kept.
 */
export interface Engine extends CopyEngine, ComparisonEngine, Mirroring {
  /**
   * Gives a group a volume that reads as zeros, as part of its present. The first one makes the
   * group known. Serving goes on undisturbed; the export appears with the next `serve`.
   *
   * @throws Refusal `no_space` — nothing was made
   */
  createVolume(groupId: GroupId, volume: VolumeSpec): Promise<void>;

  /**
   * Removes a volume with all its bytes, points' and forks' parts included. Its export closes first.
   *
   * @throws Refusal `in_use` — a copy shows a part of it
   */
  deleteVolume(groupId: GroupId, volumeId: VolumeId): Promise<void>;

  /**
   * Grows a volume's present. The data plane cannot resize under an open export, so the export
   * closes and opens again: hosts are disconnected for some milliseconds and reconnect.
   *
   * @param sizeBytes a multiple of 512, at least the present size
   */
  resizeVolume(groupId: GroupId, volumeId: VolumeId, sizeBytes: number): Promise<void>;

  /**
   * Moves a volume with its bytes to another group's present. Its export closes, and opens at the
   * other group's address with the next `serve` of that group. Its points stay behind and go.
   *
   * @throws Refusal `in_use` — a fork or a copy of the group holds a part of it, or the other group
   *   still keeps points that have one
   */
  moveVolume(volumeId: VolumeId, from: GroupId, to: GroupId): Promise<void>;

  /** Ends the group's data planes and removes all its bytes, forks and copies included. */
  deleteGroup(groupId: GroupId): Promise<void>;

  /**
   * Opens the group's present to these hosts, and to nobody else. Starts the data plane when it
   * is not running, adopts it when it is. A repeat with other hosts changes who may attach from
   * now on; a host that was taken off is disconnected.
   *
   * @throws Failure when there is no present (`promote` first)
   */
  serve(groupId: GroupId, access: HostAccess): Promise<ServedGroup>;

  /**
   * Closes the group to every host. On return no write of any host can be acknowledged any more,
   * and all that were acknowledged are in the present.
   */
  fence(groupId: GroupId): Promise<void>;

  /**
   * Seals a recovery point: one instant across all volumes of the group.
   *
   * Every write acknowledged before the instant is in the point, none after it is. A repeat with
   * the same `pointId` returns the first result.
   *
   * @param pauseLimitMs upper bound for held writes, in milliseconds; 1 to 5000
   * @throws Refusal `freeze_too_long` — hosts were held longer; there is no such point
   * @throws Refusal `no_space` — nothing was sealed
   * @see QEMU QMP reference, `transaction`: all actions take effect, or none
   */
  sealPoint(groupId: GroupId, pointId: PointId, pauseLimitMs: number): Promise<SealedPoint>;

  /**
   * Makes room for the next point while no host waits for that. Nothing depends on it: what is missing
   * when a point is sealed is made then. A repeat does nothing.
   *
   * @throws Refusal `no_space`
   */
  prepareSeal(groupId: GroupId): Promise<void>;

  /**
   * Sends a sealed point into the place that the destination opened for it, and returns when
   * every byte is there (not yet flushed: that is the destination's `completePoint`).
   *
   * Exactly the 4 KiB blocks written since `base` travel; without a base all data, holes skipped.
   * When the link fails the call throws; a repeat goes on where it was if the target is still the
   * same instance, and else sends all again and says so in `restarted`.
   *
   * @throws Failure `LinkFailure` — the target does not answer, or was cut off
   * @throws Refusal `no_space` — the destination's disk is full; a repeat goes on when there is room
   */
  sendPoint(request: SendPoint, watch: SendWatch): Promise<SentPoint>;

  /**
   * Does what can be done of sealing and sending a point before it is sealed, while no host waits for
   * that: makes room for it and connects to its place. Nothing depends on it: what is missing then is
   * done then. A repeat does what is missing. Ended by another point's send and by `cancelSend`.
   *
   * @throws Failure `LinkFailure` — as of `sendPoint`
   */
  prepareSend(request: SendPoint): Promise<void>;

  /** Ends a send for good and forgets its progress. Does nothing when none is under way. */
  cancelSend(groupId: GroupId): Promise<void>;

  /**
   * Changes the limit of the send that is under way, which goes on undisturbed. Does nothing when
   * none is; the next send brings its own.
   *
   * @param bytesPerSecond undefined: no limit but the link's
   */
  limitSend(groupId: GroupId, bytesPerSecond: number | undefined): Promise<void>;

  /**
   * One limit for all sends to a peer together, those included that are under way: each gets an equal
   * part of it, and no more than its own limit. Holds until the next call or the end of this process.
   *
   * @param bytesPerSecond undefined: no limit
   */
  limitLink(peerId: SiteId, bytesPerSecond: number | undefined): Promise<void>;

  /**
   * Opens a place for a point of the peer's, on top of `basePointId`, to the peer only. A repeat
   * with the same point returns the same place, with the same instance while its data plane
   * lives. Any other place is given up first. Of a point that is complete it is the
   * place that was: closed, but a source that has sent it all knows it by its instance.
   *
   * @throws Refusal `point_missing` — the base is not here
   * @throws Refusal `no_space` — nothing was opened
   */
  receivePoint(request: ReceivePoint): Promise<ReceivingTarget>;

  /**
   * Closes the place, flushes it and makes it a point: durable, immutable, complete for every
   * volume. A repeat after that returns at once.
   *
   * @param place the instance of the place that was filled: a word about one that is gone says
   *   nothing of the place that was opened for the same point since
   * @throws Refusal `point_missing` — nothing was received under this id in that place, or its data
   *   plane died
   */
  completePoint(groupId: GroupId, pointId: PointId, place: string): Promise<void>;

  /** Gives up whatever is being received; the points stay. */
  abandonPoint(groupId: GroupId): Promise<void>;

  /**
   * Gives the group a present that stands on the point. Later points are set aside with `demote`
   * first; the newest one is the usual case. Does nothing when there is such a present.
   *
   * @param volumeIds the volumes that are the group's now: one that has left it since the point stays
   *   a part of the point and does not come back. Absent: all of the point
   * @throws Refusal `point_missing`
   */
  promote(groupId: GroupId, pointId: PointId, volumeIds?: readonly VolumeId[]): Promise<void>;

  /**
   * Takes the group back to a point and closes it: no present is left. What was written or sealed
   * after the point becomes the fork `forkId`; when there is nothing, no fork comes into being.
   *
   * Other forks, and copies, keep their content whatever they stand on.
   *
   * @returns the fork, or undefined when nothing stood above the point
   * @throws Refusal `point_missing`
   */
  demote(groupId: GroupId, pointId: PointId, forkId: ForkId): Promise<Fork | undefined>;

  /**
   * Removes a fork, and its bytes except for those that another fork has, too. Does nothing when
   * there is no such fork.
   *
   * @throws Refusal `in_use` — a copy shows it
   */
  discardFork(groupId: GroupId, forkId: ForkId): Promise<void>;

  /**
   * Lets go of points: their bytes are merged into their neighbours, other points and the present
   * keep their content. Points that a fork, a copy or a standby stands on are kept and reported.
   * Hosts go on; the work is limited to `bytesPerSecond`. A call without points goes on with what an
   * earlier one left.
   */
  forgetPoints(
    groupId: GroupId,
    pointIds: readonly PointId[],
    limit: MergeLimit,
  ): Promise<ForgottenPoints>;

  /** The points that are here complete, oldest first. */
  points(groupId: GroupId): Promise<readonly PointId[]>;

  /** Hash of every volume's content at a point, comparable between sites and adapters. */
  hashPoint(groupId: GroupId, pointId: PointId): Promise<readonly VolumeHash[]>;

  /**
   * Bytes that were written, or received so far, above a point; all there are without one. At least
   * what a delta on it moves: blocks are kept in larger pieces.
   */
  bytesAbove(groupId: GroupId, pointId: PointId | undefined): Promise<number>;

  /** What is true of a group now. */
  inspect(groupId: GroupId): Promise<GroupInspection>;

  /** Every group that this engine keeps bytes for. */
  groups(): Promise<readonly GroupId[]>;

  /** Room for volumes at this site. */
  space(): Promise<Space>;

  /** Ends the group's data planes, its copies' included, in an orderly way. The bytes stay. */
  stop(groupId: GroupId): Promise<void>;

  /** Lets go of everything this process holds open; data planes go on and are adopted later. */
  close(): Promise<void>;
}

export interface VolumeSpec {
  readonly volumeId: VolumeId;
  /** Also the name of its export. */
  readonly name: string;
  readonly sizeBytes: number;
}

export interface HostAccess {
  /** Common names of the hosts' certificates. */
  readonly hosts: readonly string[];
  /** Each volume is open also under its `followedName`; absent: nobody may follow it elsewhere. */
  readonly history?: HistoryId;
}

export interface ServedGroup {
  readonly host: string;
  readonly port: number;
  readonly exports: readonly { readonly volumeId: VolumeId; readonly exportName: string }[];
}

export interface SealedPoint {
  readonly pointId: PointId;
  readonly sealedAt: Instant;
  /** How long hosts' writes were held. */
  readonly pauseMs: number;
  readonly volumes: readonly VolumeSpec[];
}

export interface SendPoint {
  readonly groupId: GroupId;
  readonly pointId: PointId;
  /** The common point that the target stands on; absent: everything is sent. */
  readonly basePointId: PointId | undefined;
  readonly peerId: SiteId;
  readonly target: ReceivingTarget;
  readonly bytesPerSecond: number | undefined;
}

export interface SendWatch {
  /** Called now and then; `totalBytes` may grow. */
  readonly onProgress: (progress: Progress) => void;
  /** Ends the wait, not the send: the call throws the signal's reason and progress is kept. */
  readonly signal: AbortSignal;
}

export interface Progress {
  /** What is counted is compared, and only what differs is sent. */
  readonly comparing?: boolean;
  readonly sentBytes: number;
  readonly totalBytes: number;
}

export interface SentPoint {
  /** Of data, over all volumes; with a repeat, of all attempts. */
  readonly sentBytes: number;
  /** An earlier attempt's progress was lost and all was sent again. */
  readonly restarted: boolean;
  /** Volumes of which everything was sent because the base does not have them. */
  readonly wholeVolumes: readonly VolumeId[];
}

export interface ReceivePoint {
  readonly groupId: GroupId;
  readonly pointId: PointId;
  readonly basePointId: PointId | undefined;
  /** The only one admitted; it proves itself with its site certificate. */
  readonly peerId: SiteId;
  readonly volumes: readonly VolumeSpec[];
  /** A promotion may follow, which hosts wait for: what it needs is made now. */
  readonly promotesNext?: boolean;
}

/** Where the source sends to. Crosses the wire between sites. */
export interface ReceivingTarget {
  readonly host: string;
  readonly port: number;
  /** The name that the target's certificate must carry. */
  readonly tlsName: string;
  /**
   * Changes whenever the receiving data plane is a new process, and with each place that is opened
   * for a point: what was sent into one is in no other.
   */
  readonly instance: string;
  readonly exports: readonly { readonly volumeId: VolumeId; readonly exportName: string }[];
}

export interface Fork {
  readonly forkId: ForkId;
  readonly basePointId: PointId;
  readonly allocatedBytes: number;
  /** As they were last. */
  readonly volumes: readonly VolumeSpec[];
  /** Those above the base, oldest first. */
  readonly pointIds: readonly PointId[];
}

export interface MergeLimit {
  readonly bytesPerSecond: number | undefined;
  /** Ends the merging early: the points are gone all the same, the next call goes on with the rest. */
  readonly signal?: AbortSignal | undefined;
}

export interface ForgottenPoints {
  readonly forgotten: readonly PointId[];
  /** Kept because a fork, a copy or a standby stands on them. */
  readonly kept: readonly PointId[];
}

export interface VolumeHash {
  readonly volumeId: VolumeId;
  readonly sizeBytes: number;
  readonly hash: string;
}

export interface GroupInspection {
  readonly groupId: GroupId;
  /** `hung`: the process lives but does not answer within the limit. */
  readonly dataPlane: 'stopped' | 'running' | 'hung';
  readonly instance: string | undefined;
  readonly pid: number | undefined;
  readonly address: { readonly host: string; readonly port: number } | undefined;
  /** Exports are open to hosts. */
  readonly serving: boolean;
  readonly hasPresent: boolean;
  readonly receiving: PointId | undefined;
  readonly sending: PointId | undefined;
  /** Where the send's connections go: what a link watch cuts when nothing answers there. */
  readonly sendingTo: { readonly host: string; readonly port: number } | undefined;
  readonly volumes: readonly VolumeInspection[];
  readonly forks: readonly Fork[];
  readonly copies: readonly CopyInspection[];
}

export interface VolumeInspection {
  readonly volumeId: VolumeId;
  readonly sizeBytes: number;
  readonly layers: number;
  readonly allocatedBytes: number;
}

export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** The link to a target does not carry: closed, refused, or cut. */
export class LinkFailure extends Error {
  override readonly name = 'LinkFailure';
}
