import type { Drill } from '../domain/drill.ts';
import type { Copy } from '../domain/copy.ts';
import type { Fork } from '../domain/fork.ts';
import type { ProtectionPolicy, ReplicationRule } from '../domain/protection-policy.ts';
import type { Group } from '../domain/group.ts';
import type { Host } from '../domain/host.ts';
import type { ImportSession } from '../domain/import-session.ts';
import type { ImportSource } from '../domain/import-source.ts';
import type { Instant } from '../domain/ids.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import type { ReplicationSession } from '../domain/replication-session.ts';
import type { SagaRecord } from '../domain/saga-record.ts';
import type { LinkState, Peer, Site } from '../domain/site.ts';
import type { Token, User } from '../domain/user.ts';
import type { Volume } from '../domain/volume.ts';
import type { PairingToken } from '../domain/pairing.ts';
import type { AuditEntry } from '../domain/audit.ts';

/** What a site knows, durably. Every change happens in a transaction and leaves an event. */
export interface Store {
  /**
   * Runs `work` alone: no other transaction sees or changes anything until it ends. What it did
   * is durable when the promise resolves, and undone when it rejects. Not to be nested, and
   * nothing slow or outside belongs in it.
   *
   * @throws Failure where the disk is full; nothing has changed. Repeat it when there is room.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;

  /** A look at one consistent state; changes made in it are refused. */
  read<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;

  /** Events with a larger sequence, oldest first, at most `limit`. */
  eventsAfter(sequence: number, limit: number): Promise<readonly StoreEvent[]>;

  /** The newest event's sequence; 0 when there is none. */
  lastEvent(): Promise<number>;

  /** Calls `listener` after each commit that left events; wake-up only. Returns the way to stop it. */
  onCommit(listener: () => void): () => void;

  close(): Promise<void>;
}

export interface Transaction {
  readonly site: Collection<Site>;
  readonly peers: Collection<Peer>;
  readonly links: Collection<LinkState & { readonly id: Peer['id'] }>;
  readonly volumes: Collection<Volume>;
  readonly groups: Collection<Group>;
  readonly points: Collection<RecoveryPoint>;
  readonly sessions: Collection<ReplicationSession>;
  readonly forks: Collection<Fork>;
  readonly importSources: Collection<ImportSource>;
  readonly imports: Collection<ImportSession>;
  readonly copies: Collection<Copy>;
  readonly drills: Collection<Drill>;
  readonly hosts: Collection<Host>;
  readonly policies: Collection<ProtectionPolicy>;
  readonly rules: Collection<ReplicationRule>;
  readonly sagas: Collection<SagaRecord>;
  readonly users: Collection<User>;
  readonly tokens: Collection<Token>;
  readonly pairingTokens: Collection<PairingToken>;
  readonly audit: Collection<AuditEntry>;
}

export type CollectionName = keyof Transaction;

/** Rows of one kind. */
export interface Collection<Row extends { readonly id: string }> {
  get(id: Row['id']): Promise<Row | undefined>;
  /** @throws Refusal `not_found` */
  need(id: Row['id']): Promise<Row>;
  /** Rows whose members equal all of `like`'s, oldest first. */
  where(like: Partial<Row>): Promise<readonly Row[]>;
  all(): Promise<readonly Row[]>;
  insert(row: Row): Promise<Row>;
  /**
   * @returns the changed row; an equal one is not written and leaves no event
   * @throws Refusal `not_found`
   */
  change(id: Row['id'], to: (row: Row) => Row): Promise<Row>;
  /** Does nothing when there is no such row. */
  remove(id: Row['id']): Promise<void>;
}

/** One change of one row. Passwords, tokens and audit entries leave none. */
export interface StoreEvent {
  readonly sequence: number;
  readonly at: Instant;
  readonly collection: CollectionName;
  readonly id: string;
  readonly change: 'inserted' | 'changed' | 'removed';
  /** The row after the change; absent when removed. */
  readonly row: unknown;
}
