/** What a site's store says, kept up by its events: each change is seen, also one soon overwritten. */
import type { Fork } from '../../src/domain/fork.ts';
import type { Group } from '../../src/domain/group.ts';
import type { ForkId, GroupId, PointId, SagaId, SessionId, SiteId } from '../../src/domain/ids.ts';
import type { RecoveryPoint } from '../../src/domain/recovery-point.ts';
import type { ReplicationSession } from '../../src/domain/replication-session.ts';
import { hasEnded } from '../../src/domain/saga-record.ts';
import type { SagaRecord } from '../../src/domain/saga-record.ts';
import type { Store, StoreEvent } from '../../src/ports/store.ts';

const EVENTS_AT_ONCE = 1000;

export class Mirror {
  readonly siteId: SiteId;
  readonly groups = new Map<GroupId, Group>();
  readonly points = new Map<PointId, RecoveryPoint>();
  readonly sessions = new Map<SessionId, ReplicationSession>();
  readonly forks = new Map<ForkId, Fork>();
  readonly sagas = new Map<SagaId, SagaRecord>();
  /** In the simulation's time, whatever the site's clock says. */
  readonly endedAtMs = new Map<SagaId, number>();
  readonly #store: Store;
  readonly #now: () => number;
  #sequence = 0;
  #isStale = true;

  constructor(siteId: SiteId, store: Store, now: () => number) {
    this.siteId = siteId;
    this.#now = now;
    this.#store = store;
    store.onCommit(() => void (this.#isStale = true));
  }

  /** @returns what changed since the last time, in order */
  async update(): Promise<readonly StoreEvent[]> {
    if (!this.#isStale) return [];
    this.#isStale = false;
    const events = await this.#store.eventsAfter(this.#sequence, EVENTS_AT_ONCE);
    this.#sequence = events.at(-1)?.sequence ?? this.#sequence;
    return events;
  }

  apply({ collection, id, row }: StoreEvent): void {
    const rows = this.#rows(collection);
    if (rows === undefined) return;
    if (row === undefined) rows.delete(id);
    else rows.set(id, row);
    if (collection !== 'sagas' || row === undefined) return;
    const saga = row as SagaRecord;
    if (hasEnded(saga) && !this.endedAtMs.has(saga.id)) this.endedAtMs.set(saga.id, this.#now());
  }

  sessionOf(groupId: GroupId): ReplicationSession | undefined {
    return [...this.sessions.values()].find((session) => session.groupId === groupId);
  }

  pointsOf(groupId: GroupId): readonly RecoveryPoint[] {
    return [...this.points.values()].filter((point) => point.groupId === groupId);
  }

  #rows(collection: StoreEvent['collection']): Map<string, unknown> | undefined {
    const kept: Partial<Record<StoreEvent['collection'], unknown>> = {
      groups: this.groups,
      points: this.points,
      sessions: this.sessions,
      forks: this.forks,
      sagas: this.sagas,
    };
    return kept[collection] as Map<string, unknown> | undefined;
  }
}
