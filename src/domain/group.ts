import type {
  GroupId,
  ImportId,
  Instant,
  PointId,
  PolicyId,
  SagaId,
  SessionId,
  SiteId,
  VolumeId,
} from './ids.ts';
import type { FailoverWindow, Overtaken } from './failover-window.ts';
import type { Ownership } from './ownership.ts';
import type { Remarks } from './remarks.ts';

/** Volumes that are cut, moved and recovered together. */
export interface Group {
  readonly id: GroupId;
  readonly name: string;
  /** For people; any text. Absent: none. */
  readonly description?: string | undefined;
  /** The group of one that a lone volume has; dialects do not show it as a group. */
  readonly implicit: boolean;
  /** In the order in which they joined. */
  readonly volumeIds: readonly VolumeId[];
  readonly ownership: Ownership;
  /** The one operation that may change this group now. */
  readonly operation: SagaId | undefined;
  /** Hosts may not write while this saga runs; the supervisor must not open the exports again. */
  readonly fencedBy: SagaId | undefined;
  /** The point on which the present stands at the holder, when it came by a change of holder. */
  readonly standsOn: PointId | undefined;
  /** Its failover to this site can still be rolled back. */
  readonly window?: FailoverWindow | undefined;
  /** It was taken from this site, which had this. */
  readonly overtaken?: Overtaken | undefined;
  /** The highest number of a point that was set aside here; absent: none was. None is used again. */
  readonly highestSequence?: number | undefined;
  /** The import that makes it and that alone may change it until it has ended. */
  readonly importing?: ImportId | undefined;
  /** Names of the hosts that may attach, the same at both sites. */
  readonly hosts: readonly string[];
  /** What protects it; absent: nothing, or a session of its own that no policy stands behind. */
  readonly policyId: PolicyId | undefined;
  readonly createdAt: Instant;
  /** At a destination: the session that its source ended last. A late word of it begins nothing. */
  readonly endedSession?: SessionId | undefined;
  /** Somebody took its volumes offline here: no host may attach, although this site holds it. */
  readonly offline?: boolean | undefined;
  readonly remarks?: Remarks | undefined;
}

export const MAX_VOLUMES_PER_GROUP = 256;

/** Whether this site's hosts may write to the group now. */
export function mayServe(group: Group, here: SiteId): boolean {
  const isClosed = group.fencedBy !== undefined || group.offline === true;
  return group.ownership.holder === here && !isClosed;
}
