/** What one site tells another's callers, and does for them: either site can be asked for both. */
import type {
  GroupId,
  Instant,
  PairId,
  SagaId,
  SessionId,
  SiteId,
  VolumeId,
} from '../domain/ids.ts';
import type { DataConditionState } from '../domain/data-condition.ts';
import type { Ownership } from '../domain/ownership.ts';
import type { SessionState } from '../domain/replication-session.ts';
import type { NewStandIn, StandIn } from '../domain/stand-in.ts';

/** Everything that a site holds: about these groups its word is the one that counts. */
export interface Holdings {
  readonly groups: readonly HeldGroup[];
}

export interface HeldGroup {
  readonly id: GroupId;
  readonly name: string;
  readonly description: string;
  readonly implicit: boolean;
  readonly ownership: Ownership;
  readonly hosts: readonly string[];
  readonly volumes: readonly HeldVolume[];
  /** The kind of the operation that changes it now. */
  readonly operation: string | undefined;
  /** The last change of holder that was asked for here and put back, unless something came after. */
  readonly undoneMove: 'handover' | 'failover' | undefined;
  readonly session: HeldSession | undefined;
  readonly createdAt: Instant;
}

export interface HeldVolume {
  readonly id: VolumeId;
  readonly name: string;
  readonly sizeBytes: number;
  readonly state: 'creating' | 'importing' | 'ready' | 'deleting';
  readonly standIn: StandIn | undefined;
  readonly createdAt: Instant;
}

export interface HeldSession {
  readonly id: SessionId;
  readonly peerId: SiteId;
  readonly state: SessionState;
  readonly stateSince: Instant;
  /** Of a synchronous session; `in_sync` of one that is paused: it was when it was paused. */
  readonly dataCondition: DataConditionState | undefined;
  /** When the newest point was sealed that both sites have complete. */
  readonly newestPointAt: Instant | undefined;
  /** Of the running cycle, 0 to 100. */
  readonly progressPercent: number | undefined;
}

/** A request that one site carries out for somebody who asked at the other. */
export type Errand =
  | { readonly verb: 'create_volume'; readonly name: string; readonly sizeBytes: number }
  | { readonly verb: 'delete_volume'; readonly volumeId: VolumeId }
  | { readonly verb: 'pair_volumes'; readonly volumeId: VolumeId; readonly standIn: NewStandIn }
  | { readonly verb: 'part_volumes'; readonly volumeId: VolumeId; readonly pairId: PairId }
  | {
      readonly verb: 'create_group';
      readonly name: string;
      readonly description: string;
      readonly volumeIds: readonly VolumeId[];
    }
  | {
      readonly verb: 'change_group';
      readonly groupId: GroupId;
      readonly name?: string | undefined;
      readonly description?: string | undefined;
      readonly add: readonly VolumeId[];
      readonly remove: readonly VolumeId[];
    }
  | { readonly verb: 'delete_group'; readonly groupId: GroupId }
  /** Begins a synchronous session, or goes on with the one that there is. */
  | { readonly verb: 'replicate'; readonly groupId: GroupId; readonly peerId: SiteId }
  | { readonly verb: 'pause'; readonly groupId: GroupId }
  | {
      readonly verb: 'hand_over';
      readonly groupId: GroupId;
      /** Replicate back at once, unless false. */
      readonly reverse?: boolean | undefined;
    }
  | { readonly verb: 'fail_over'; readonly groupId: GroupId }
  | { readonly verb: 'reprotect'; readonly groupId: GroupId };

export interface ErrandAnswer {
  /** Of what was made. */
  readonly id?: string | undefined;
  readonly jobId?: SagaId | undefined;
}

/** For the audit log of the site that carries it out. */
export interface SentErrand {
  readonly errand: Errand;
  /** The user who asked, by name at their own site. */
  readonly by: string;
}
