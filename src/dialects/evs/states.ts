/**
 * What this API calls a group's state. Two words: `status` is what somebody is doing with it,
 * `replication_status` what its two sides' data are to each other. How the second one reads a
 * session that is not synchronous is in docs/dialects/evs.md.
 */
import type { Region, SeenGroup } from './region.ts';

export type Status =
  | 'creating'
  | 'available'
  | 'updating'
  | 'deleting'
  | 'reversing'
  | 'error_reversing'
  | 'failovering'
  | 'error_failovering'
  | 'failovered';

export type ReplicationStatus = 'active' | 'active-stopped' | 'copying' | 'inactive' | 'error';

/** `2`: the production disk cannot be reached, fail over. `5`: the other side cannot. */
export type FaultLevel = '0' | '2' | '5';

export interface States {
  readonly status: Status;
  readonly replicationStatus: ReplicationStatus;
  readonly faultLevel: FaultLevel;
  /** Percent of the running synchronization; null before the first one. */
  readonly progress: string | null;
}

const busy: Readonly<Record<string, Status>> = {
  handover: 'reversing',
  failover: 'failovering',
  'delete-group': 'deleting',
  unprotect: 'deleting',
};

export function statesOf(region: Region, group: SeenGroup): States {
  const faultLevel = faultLevelOf(region, group);
  return {
    status: statusOf(group),
    replicationStatus: replicationStatusOf(group, faultLevel),
    faultLevel,
    progress: progressOf(group),
  };
}

/** Whether its source stopped sending because somebody asked for that, or never began to. */
export function isPaused({ session }: SeenGroup): boolean {
  return session === undefined || session.state === 'paused' || session.state === 'pausing';
}

function statusOf({ operation, volumes, session, undoneMove }: SeenGroup): Status {
  if (operation === 'move-volume') return volumes.length === 0 ? 'creating' : 'updating';
  // A handover locks the other side by its own name, which this side does not know.
  const isMoved = session?.state === 'handing_over' ? 'reversing' : undefined;
  const doing = isMoved ?? (operation === undefined ? undefined : busy[operation]);
  if (doing !== undefined) return doing;
  if (session?.state === 'failed_over') return 'failovered';
  if (undoneMove !== undefined) {
    return undoneMove === 'handover' ? 'error_reversing' : 'error_failovering';
  }
  return 'available';
}

function replicationStatusOf(group: SeenGroup, faultLevel: FaultLevel): ReplicationStatus {
  const { session } = group;
  if (session === undefined) return 'inactive';
  if (session.state === 'error') return 'error';
  if (session.state === 'failed_over') return 'active-stopped';
  if (faultLevel !== '0' || session.state === 'system_paused') return 'inactive';
  if (isPaused(group)) return session.dataCondition === 'in_sync' ? 'active-stopped' : 'inactive';
  return session.dataCondition === 'in_sync' ? 'active' : 'copying';
}

function faultLevelOf({ zones }: Region, { isStale, session, ownership }: SeenGroup): FaultLevel {
  if (isStale) return '2';
  if (session === undefined) return '0';
  const others = zones.filter(({ siteId }) => siteId !== ownership.holder);
  return others.some(({ answers }) => answers) ? '0' : '5';
}

function progressOf({ session }: SeenGroup): string | null {
  if (session === undefined) return null;
  if (session.progressPercent !== undefined) return String(session.progressPercent);
  return session.newestPointAt === undefined ? null : '100';
}
