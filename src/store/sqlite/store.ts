import { DatabaseSync } from 'node:sqlite';
import type { GroupId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EngineRecords } from '../../ports/engine-records.ts';
import type { CollectionName, Store, StoreEvent, Transaction } from '../../ports/store.ts';
import { collection } from './collection.ts';
import type { Emit } from './collection.ts';
import { migrate } from './migrate.ts';
import { preparing } from './prepare.ts';
import type { Prepare } from './prepare.ts';
import { Turns } from './turns.ts';

/** Who reconnects after more events than this reads everything again. */
export const KEPT_EVENTS = 10_000;
const TRIM_EVERY = 500;
/** A process that was killed gives its lock back a little after it is gone for those who watch it. */
const LOCK_WAIT_MS = 1000;
const DISK_FULL = "the site's disk is full: nothing can be recorded until there is room on it";

/**
 * Opens (or makes) a site's store in one file, for this process alone.
 *
 * @param file a path, or `:memory:`
 * @throws Error when another process has it open
 */
export function openSqliteStore(
  file: string,
  clock: Clock,
): Store & { readonly engineRecords: EngineRecords } {
  const database = new DatabaseSync(file, { timeout: LOCK_WAIT_MS });
  try {
    // Exclusive: a second server on the same data would serve the same volumes.
    // synchronous=FULL: what a transaction said is on the disk when it says so.
    database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
                   PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;`);
    migrate(database);
  } catch (error) {
    database.close();
    if (error instanceof Error && error.message.includes('locked')) {
      throw new Error(`${file} is open in another process: only one server may run on it`, {
        cause: error,
      });
    }
    throw error;
  }
  return sqliteStore(database, clock);
}

function sqliteStore(
  database: DatabaseSync,
  clock: Clock,
): Store & { readonly engineRecords: EngineRecords } {
  // One connection: transactions and reads take turns.
  const turns = new Turns();
  const prepare = preparing(database);
  const listeners = new Set<() => void>();
  const insertEvent = database.prepare(
    'INSERT INTO events (at, collection, id, change, document) VALUES (?, ?, ?, ?, ?)',
  );
  const trimEvents = database.prepare('DELETE FROM events WHERE sequence <= ?');
  let emitted = 0;

  const emit: Emit = (name, id, change, document) => {
    const { lastInsertRowid } = insertEvent.run(clock.now(), name, id, change, document ?? null);
    emitted += 1;
    if (emitted % TRIM_EVERY === 0) trimEvents.run(Number(lastInsertRowid) - KEPT_EVENTS);
  };
  const writable = collections(prepare, emit);
  const readOnly = collections(prepare, () => {
    throw new Error('a change was made in a read');
  });

  const inTransaction = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = emitted;
    database.exec('BEGIN IMMEDIATE');
    let result: T;
    try {
      result = await work();
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throwInWords(error);
    }
    if (emitted !== before) for (const listener of listeners) listener();
    return result;
  };

  return {
    transaction: (work) => turns.take(() => inTransaction(() => work(writable))),
    read: (work) => turns.take(() => work(readOnly)),
    eventsAfter: (sequence, limit) =>
      turns.take(() => Promise.resolve(eventsAfter(database, sequence, limit))),
    lastEvent: () =>
      turns.take(() => {
        const row = database.prepare('SELECT max(sequence) AS last FROM events').get();
        return Promise.resolve(Number(row?.['last'] ?? 0));
      }),
    onCommit: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () =>
      turns.take(() => {
        database.close();
        return Promise.resolve();
      }),
    engineRecords: engineRecords(database, turns),
  };
}

/** @see https://www.sqlite.org/rescode.html#full */
const SQLITE_FULL = 13;

function throwInWords(error: unknown): never {
  if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_FULL) {
    throw new Failure(DISK_FULL, { cause: error });
  }
  throw error;
}

function collections(prepare: Prepare, emit: Emit): Transaction {
  const silent: Emit = () => undefined;
  return {
    site: collection(prepare, 'site', 'site', silent),
    peers: collection(prepare, 'peers', 'peers', emit),
    links: collection(prepare, 'links', 'links', emit),
    volumes: collection(prepare, 'volumes', 'volumes', emit),
    groups: collection(prepare, 'groups', 'groups', emit),
    points: collection(prepare, 'points', 'points', emit),
    sessions: collection(prepare, 'sessions', 'sessions', emit),
    forks: collection(prepare, 'forks', 'forks', emit),
    // Sources carry sealed secrets, which no event shows.
    importSources: collection(prepare, 'importSources', 'import_sources', silent),
    imports: collection(prepare, 'imports', 'imports', emit),
    copies: collection(prepare, 'copies', 'copies', emit),
    drills: collection(prepare, 'drills', 'drills', emit),
    hosts: collection(prepare, 'hosts', 'hosts', emit),
    policies: collection(prepare, 'policies', 'policies', emit),
    rules: collection(prepare, 'rules', 'rules', emit),
    sagas: collection(prepare, 'sagas', 'sagas', emit),
    users: collection(prepare, 'users', 'users', silent),
    tokens: collection(prepare, 'tokens', 'tokens', silent),
    pairingTokens: collection(prepare, 'pairingTokens', 'pairing_tokens', silent),
    audit: collection(prepare, 'audit', 'audit', silent),
  };
}

function eventsAfter(
  database: DatabaseSync,
  sequence: number,
  limit: number,
): readonly StoreEvent[] {
  const rows = database
    .prepare('SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?')
    .all(sequence, limit);
  return rows.map((row) => ({
    sequence: Number(row['sequence']),
    at: Number(row['at']),
    collection: String(row['collection']) as CollectionName,
    id: String(row['id']),
    change: String(row['change']) as StoreEvent['change'],
    row: row['document'] === null ? undefined : (JSON.parse(String(row['document'])) as unknown),
  }));
}

function engineRecords(database: DatabaseSync, turns: Turns): EngineRecords {
  const select = database.prepare('SELECT document FROM engine_records WHERE group_id = ?');
  const upsert = database.prepare(
    `INSERT INTO engine_records (group_id, document) VALUES (?, ?)
     ON CONFLICT (group_id) DO UPDATE SET document = excluded.document`,
  );
  const remove = database.prepare('DELETE FROM engine_records WHERE group_id = ?');
  const list = database.prepare('SELECT group_id FROM engine_records ORDER BY rowid');
  const soon = <T>(work: () => T): Promise<T> =>
    turns.take(() => Promise.resolve(work())).catch(throwInWords);
  return {
    read: (groupId) =>
      soon(() => {
        const row = select.get(groupId);
        const document: unknown =
          row === undefined ? undefined : JSON.parse(String(row['document']));
        return document;
      }),
    write: (groupId, document) => soon(() => void upsert.run(groupId, JSON.stringify(document))),
    remove: (groupId) => soon(() => void remove.run(groupId)),
    list: () => soon(() => list.all().map((row) => String(row['group_id']) as GroupId)),
  };
}
