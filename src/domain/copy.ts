import type { CopyId, ForkId, GroupId, HistoryId, Instant, PointId } from './ids.ts';

/**
 * What a group was, opened beside it at this site, with an address of its own: cycles and failovers
 * of the group go on beneath. A writable one takes hosts' writes on a scratch layer.
 */
export interface Copy {
  readonly id: CopyId;
  readonly groupId: GroupId;
  readonly name: string;
  /** A failover test is the one copy of a group that a failover may stand on. */
  readonly purpose: 'failover_test' | 'clone' | 'mount';
  readonly of: CopyOf;
  /** The point that it shows, or that the fork which it shows stands on. */
  readonly basePointId: PointId;
  readonly writable: boolean;
  /** Names of the hosts that may attach it, and only it. */
  readonly hosts: readonly string[];
  readonly state: 'opening' | 'open' | 'closing';
  readonly openedAt: Instant;
  /** Once it was refreshed; see `historyOfCopy`. */
  readonly history?: HistoryId;
  /** It ends by itself when this is counted down; absent: when somebody ends it. */
  readonly leftMs: number | undefined;
}

/** What hosts have seen of a copy. Another one begins when it is refreshed, and none leaves its site. */
export function historyOfCopy({ id, history }: Pick<Copy, 'id' | 'history'>): HistoryId {
  return history ?? (id as string as HistoryId);
}

/** A point of the group, or a history that was set aside. */
export type CopyOf = { readonly pointId: PointId } | { readonly forkId: ForkId };

export const DEFAULT_TEST_TERM_SECONDS = 8 * 60 * 60;
export const MIN_COPY_TERM_SECONDS = 60;
export const MAX_COPY_TERM_SECONDS = 30 * 24 * 60 * 60;
/** Each has a data plane and a port of its own. */
export const MAX_COPIES_PER_GROUP = 16;
