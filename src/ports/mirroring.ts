import type { GroupId, MirrorId, PointId, SiteId, VolumeId } from '../domain/ids.ts';
import type { ReceivingTarget, SendWatch, VolumeSpec } from './engine.ts';

/**
 * The synchronous half of an engine. A *mirror* carries every write of the source's hosts to a
 * *standby* at the destination, and the host is answered when both have it.
 *
 *   destination: openStandby ──▶ standby (open to the peer) ── keepStandby ──▶ newest point
 *   source:      startMirror ──▶ copying ──▶ level ── finishMirror ──▶ both are equal for good
 *                                   └──────── the link or a disk fails ──▶ failed
 *
 * A mirror that failed, or whose data plane at either end is another process now, is never gone on
 * with: what one of them had acknowledged and the other lost nobody knows. Another mirror begins
 * into another standby, on a point that both sites have.
 */
export interface Mirroring {
  /**
   * Opens a standby on the newest point, to the peer only, beside whatever is being received. A
   * repeat with the same mirror returns the same while its data plane lives. The standby of another
   * mirror is given up.
   *
   * @throws Refusal `point_missing` — the base is not here
   * @throws Refusal `no_space` — nothing was opened
   * @throws Refusal `busy` — a data plane that died had it open: another mirror is needed
   */
  openStandby(request: OpenStandby): Promise<ReceivingTarget>;

  /** Gives the standby up. Does nothing when there is none. */
  dropStandby(groupId: GroupId): Promise<void>;

  /**
   * Closes the standby and makes it the newest point: durable, immutable. Also when the data plane
   * that had it open is gone, since what it acknowledged is on disk. A repeat returns at once.
   *
   * @throws Refusal `point_missing` — there is no standby of this mirror
   */
  keepStandby(groupId: GroupId, mirrorId: MirrorId, pointId: PointId): Promise<void>;

  /**
   * Begins to mirror the group's present, of which the target has all up to the newest point. First
   * what was written since is copied while hosts go on; then hosts are answered when both have it.
   * A repeat with the same mirror changes nothing.
   *
   * @throws Failure when `basePointId` is not the newest point, or the same mirror was lost
   * @throws LinkFailure when the target cannot be opened
   */
  startMirror(request: StartMirror): Promise<void>;

  /** A look that waits for nobody's work; undefined when there is no mirror. */
  inspectMirror(groupId: GroupId): Promise<MirrorInspection | undefined>;

  /**
   * Compares what a level mirror's two ends have, wherever something was written here after a point,
   * while hosts write on. A range that differs is looked at again: a write may have been on its way.
   * Changes nothing; what hosts write meanwhile is in neither answer nor question.
   *
   * @throws Failure when it is another mirror, is not level, or ends meanwhile
   * @throws LinkFailure when the target does not answer
   */
  compareMirror(request: CompareMirror, watch: SendWatch): Promise<ComparedMirror>;

  /**
   * Ends a mirror that is level: on return the standby's content is the present's. Hosts are fenced,
   * or what they write from then on is here alone.
   *
   * @throws Failure when it was not level to the end; it is ended all the same
   */
  finishMirror(groupId: GroupId, mirrorId: MirrorId): Promise<void>;

  /**
   * Ends the mirror, whatever it did; hosts go on alone. One that holds them is ended with the data
   * plane: no write that waits is answered, and hosts come back when the group is served again. Does
   * nothing when there is none.
   */
  stopMirror(groupId: GroupId): Promise<void>;
}

export interface OpenStandby {
  readonly groupId: GroupId;
  readonly mirrorId: MirrorId;
  readonly basePointId: PointId;
  readonly peerId: SiteId;
  readonly volumes: readonly VolumeSpec[];
}

export interface StartMirror {
  readonly groupId: GroupId;
  readonly mirrorId: MirrorId;
  readonly basePointId: PointId;
  readonly peerId: SiteId;
  readonly target: ReceivingTarget;
  /**
   * A connection that breaks is tried again for this long before hosts go on alone; whole seconds.
   * From `HOLD_SECONDS` on the mirror holds its hosts.
   */
  readonly reconnectSeconds: number;
}

export interface CompareMirror {
  readonly groupId: GroupId;
  readonly mirrorId: MirrorId;
  readonly peerId: SiteId;
  /** undefined: everything was written after it. */
  readonly afterPointId: PointId | undefined;
}

export interface ComparedMirror {
  readonly comparedBytes: number;
  /** In the end; empty where both have the same. */
  readonly differing: readonly DifferingRange[];
}

export interface DifferingRange {
  readonly volumeId: VolumeId;
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface MirrorInspection {
  readonly mirrorId: MirrorId;
  /** Of the standby's data plane; another one there is another standby. */
  readonly targetInstance: string;
  /** Where its connections go: what a watch cuts when nothing answers there. */
  readonly to: { readonly host: string; readonly port: number };
  /** The worst of its volumes. */
  readonly state: 'copying' | 'level' | 'failed';
  /** Of a failed one. */
  readonly why: string | undefined;
  readonly volumes: readonly MirroredVolume[];
}

export interface MirroredVolume {
  readonly volumeId: VolumeId;
  /** Bytes that the standby has acknowledged, copies and hosts' writes. Only grows. */
  readonly doneBytes: number;
  /** With those that are on their way or still to be copied. */
  readonly totalBytes: number;
}
