import type {
  ForkId,
  GroupId,
  Instant,
  MirrorId,
  PointId,
  PolicyId,
  RuleId,
  SagaId,
  SessionId,
  SiteId,
  VolumeId,
} from '../domain/ids.ts';
import type { Ownership } from '../domain/ownership.ts';
import type { PointVolume } from '../domain/recovery-point.ts';
import type { DataConditionState } from '../domain/data-condition.ts';
import type { HistoryAside } from '../domain/failover-window.ts';
import type { Fork } from '../domain/fork.ts';
import type { StandIn } from '../domain/stand-in.ts';
import type { ErrandAnswer, Holdings, SentErrand } from './errands.ts';
import type { DigestRanges, RangeDigests } from './engine-comparison.ts';
import type { ReceivingTarget, VolumeHash } from './engine.ts';
import type { HostBundle } from './host-certificates.ts';

/**
 * What one site asks of another. Every message may arrive twice or late: it names its group's
 * epoch, and its receiver answers a repeat as it answered the first.
 *
 * All calls throw Refusal `peer_unreachable` when no answer came — then nothing is known about
 * what the other side did — and the other side's own Refusal when it refused.
 */
export interface PeerProtocol {
  /** Are you there, and what do you know? Sent and answered several times a second. */
  heartbeat(to: SiteId, beat: Beat): Promise<Beat>;

  /** Makes or renews the destination's copy of a group and of its session. */
  offerGroup(to: SiteId, offer: GroupOffer): Promise<OfferAnswer>;

  /** Ends the session there; the copy stays unless `discardCopy`. */
  endSession(to: SiteId, end: EndSession): Promise<void>;

  /**
   * The session is paused here, or goes on: the same there. A repeated pause changes nothing.
   * Refused `wrong_state` when it cannot be paused there, or is not paused there.
   */
  pauseSession(to: SiteId, pause: PauseRequest): Promise<void>;

  /** Opens a place for a point; see `Engine.receivePoint`. Renews the group's copy on the way. */
  receivePoint(to: SiteId, receive: ReceiveRequest): Promise<ReceiveAnswer>;

  /** Everything was sent: make it a point. Resolves when it is durable there. */
  completePoint(to: SiteId, complete: CompleteRequest): Promise<CompleteAnswer>;

  /** Opens a standby; see `Engine.openStandby`. Renews the group's copy on the way. */
  openStandby(to: SiteId, open: StandbyRequest): Promise<ReceivingTarget>;

  /** The standby is level and hosts are fenced: make it this point. Durable there when it resolves. */
  keepStandby(to: SiteId, keep: KeepStandby): Promise<CompleteAnswer>;

  /**
   * Locks the destination for a handover, or says why it cannot take the group.
   * The lock falls by itself when the holder's heartbeat no longer names this saga.
   */
  prepareHandover(to: SiteId, prepare: PrepareHandover): Promise<void>;

  /** Lets go of the lock. Does nothing when it is not held. */
  cancelHandover(to: SiteId, cancel: PrepareHandover): Promise<void>;

  /** The group is yours since `epoch`. Resolves when it is served there. */
  takeGroup(to: SiteId, take: TakeGroup): Promise<void>;

  /** What the other site knows of a group: asked when the two histories may have parted. */
  describeGroup(to: SiteId, groupId: GroupId): Promise<GroupDescription>;

  /**
   * Locks the site that a group was taken from, so that it can be returned there, or says why it cannot
   * take it back. The lock falls as that of a handover; `cancelHandover` lets go of it.
   *
   * @returns where its own history is
   */
  prepareReturn(to: SiteId, prepare: PrepareHandover): Promise<HistoryAside>;

  /** The group is yours again since `epoch`, with the history that you set aside. Resolves when it is served there. */
  returnGroup(to: SiteId, group: ReturnGroup): Promise<void>;

  /** A history was set aside here. A repeat changes nothing. */
  noteFork(to: SiteId, fork: Fork): Promise<void>;

  /** A fork is gone. Does nothing when it is not known. */
  dropFork(to: SiteId, forkId: ForkId): Promise<void>;

  /** A volume is about to grow here: can it there? Records its new size. */
  resizeVolume(to: SiteId, resize: ResizeRequest): Promise<void>;

  /** What the other site holds, for somebody who asks at this one. */
  showHoldings(to: SiteId): Promise<Holdings>;

  /**
   * Has a request carried out by the site that may. Not tried again: a lost answer leaves open
   * what was done, and `showHoldings` tells.
   */
  runErrand(to: SiteId, errand: SentErrand): Promise<ErrandAnswer>;

  /** Makes a host of ours known there, and issues what its agent needs. */
  enrolHost(to: SiteId, host: { readonly name: string }): Promise<HostEnrolment>;

  /**
   * Digests of ranges of one volume at a point, as it is there; see `Engine.digestRanges`.
   * Refused `point_missing`, or `not_found` when the point has no such volume.
   */
  digestRanges(to: SiteId, request: DigestRanges): Promise<RangeDigests>;

  /** Hashes of a point's volumes as they are there. May take long. */
  hashPoint(to: SiteId, groupId: GroupId, pointId: PointId): Promise<readonly VolumeHash[]>;
}

export interface Beat {
  readonly siteId: SiteId;
  readonly at: Instant;
  /** Of the groups that the two sites share. */
  readonly groups: readonly GroupBeat[];
}

export interface GroupBeat {
  readonly groupId: GroupId;
  readonly ownership: Ownership;
  readonly operation: SagaId | undefined;
  /** The data plane process that serves or receives, when there is one. */
  readonly instance: string | undefined;
  readonly dataPlane: 'stopped' | 'running' | 'hung';
  /** Of a synchronous session. */
  readonly sync: SyncBeat | undefined;
}

export interface SyncBeat {
  readonly mirrorId: MirrorId;
  /**
   * The source: up to then, by its clock, the standby has all that was acknowledged. The
   * destination: it has recorded that, so that a failover there stands on it.
   */
  readonly completeUpTo: Instant | undefined;
  readonly condition: DataConditionState;
  /** The source: its hosts wait when this mirror is lost, until somebody there lets them go on. */
  readonly holds?: boolean | undefined;
}

/** Everything that the destination needs to know so that it can go on alone. */
export interface GroupOffer {
  readonly groupId: GroupId;
  readonly name: string;
  readonly description: string | undefined;
  readonly implicit: boolean;
  readonly ownership: Ownership;
  readonly hosts: readonly string[];
  readonly volumes: readonly OfferedVolume[];
  /** What protects it at the source. */
  readonly policy: OfferedPolicy | undefined;
  readonly createdAt: Instant;
  readonly session: {
    readonly id: SessionId;
    readonly rpoSeconds: number;
    readonly bytesPerSecond: number | undefined;
    readonly retainedPoints: number;
    /** Of the source's history; see `ReplicationSession`. */
    readonly line: number;
    readonly sync: { readonly stallSeconds: number } | undefined;
    readonly createdAt: Instant;
  };
}

export interface OfferedVolume {
  readonly id: VolumeId;
  readonly name: string;
  readonly serial: string;
  readonly sizeBytes: number;
  readonly standIn: StandIn | undefined;
  readonly createdAt: Instant;
}

export interface OfferedPolicy {
  readonly id: PolicyId;
  readonly name: string;
  readonly description: string;
  readonly rule: {
    readonly id: RuleId;
    readonly name: string;
    readonly rpoSeconds: number;
    readonly alertThresholdMinutes: number;
  };
}

export interface OfferAnswer {
  /** The complete points that the destination has of this group already, oldest first. */
  readonly points: readonly PointId[];
}

export interface EndSession {
  readonly groupId: GroupId;
  readonly sessionId: SessionId;
  readonly epoch: number;
  readonly discardCopy: boolean;
}

export interface PauseRequest {
  readonly groupId: GroupId;
  readonly sessionId: SessionId;
  readonly epoch: number;
  /** False: it goes on. */
  readonly paused: boolean;
}

export interface ReceiveRequest {
  readonly offer: GroupOffer;
  readonly pointId: PointId;
  readonly basePointId: PointId | undefined;
  readonly volumes: readonly PointVolume[];
}

export interface ReceiveAnswer {
  readonly target: ReceivingTarget;
  /** The point is there already, whatever the source knows of that: nothing has to be sent. */
  readonly isComplete: boolean;
}

export interface CompleteRequest {
  readonly groupId: GroupId;
  readonly epoch: number;
  readonly pointId: PointId;
  readonly sequence: number;
  readonly sealedAt: Instant;
  /** By the same clock, when this was sent. */
  readonly toldAt: Instant;
  readonly volumes: readonly PointVolume[];
  /** The instance of the place that was filled. */
  readonly place: string;
  /** The point was sealed after this mirror was lost: its standby has nothing more. */
  readonly surpasses: MirrorId | undefined;
}

export interface StandbyRequest {
  readonly offer: GroupOffer;
  readonly mirrorId: MirrorId;
  readonly basePointId: PointId;
  readonly volumes: readonly PointVolume[];
}

export interface KeepStandby {
  readonly groupId: GroupId;
  readonly epoch: number;
  readonly mirrorId: MirrorId;
  readonly pointId: PointId;
  readonly sequence: number;
  readonly sealedAt: Instant;
  /** By the same clock, when this was sent. */
  readonly toldAt: Instant;
  readonly volumes: readonly PointVolume[];
}

export interface CompleteAnswer {
  readonly completedAt: Instant;
}

export interface PrepareHandover {
  readonly groupId: GroupId;
  readonly epoch: number;
  readonly sagaId: SagaId;
}

export interface TakeGroup {
  readonly groupId: GroupId;
  /** The new holder's. */
  readonly epoch: number;
  readonly pointId: PointId;
  readonly sagaId: SagaId;
  /** Replicate back to the giver at once. */
  readonly reverse: boolean;
}

export interface GroupDescription {
  readonly ownership: Ownership;
  /** Complete there, oldest first. */
  readonly points: readonly PointId[];
  /** Something that hosts could have written above the points; a destination has none. */
  readonly hasPresent: boolean;
  /** What was set aside there when the group was taken from it, at its epoch. */
  readonly aside?: HistoryAside | undefined;
}

export interface ReturnGroup {
  readonly groupId: GroupId;
  /** The new holder's. */
  readonly epoch: number;
  readonly sagaId: SagaId;
  readonly aside: HistoryAside;
  /** Of whatever stands in the way there: it is kept as this. */
  readonly spareForkId: ForkId;
  /** That may attach, as they were mapped by the holder that returns it. */
  readonly hosts: readonly string[];
}

/** What a host needs of one site to attach there what is mapped to it, and to ask where it is. */
export interface HostEnrolment {
  readonly siteId: SiteId;
  readonly siteName: string;
  /** The site's native API. */
  readonly url: string;
  /** Proves there that the host's agent asks; only its hash is kept. */
  readonly token: string;
  readonly files: HostBundle;
}

export interface ResizeRequest {
  readonly groupId: GroupId;
  readonly epoch: number;
  readonly volumeId: VolumeId;
  readonly sizeBytes: number;
}
