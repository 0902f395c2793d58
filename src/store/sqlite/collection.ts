import type { SQLInputValue } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import type { Subject } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Collection, CollectionName, StoreEvent } from '../../ports/store.ts';
import type { Prepare } from './prepare.ts';

export type Emit = (
  name: CollectionName,
  id: string,
  change: StoreEvent['change'],
  document: string | undefined,
) => void;

/** What a user calls a row of each collection. */
const subjects: { readonly [N in CollectionName]: Subject } = {
  site: 'peer',
  peers: 'peer',
  links: 'peer',
  volumes: 'volume',
  groups: 'group',
  points: 'recovery_point',
  sessions: 'replication_session',
  forks: 'fork',
  importSources: 'import_source',
  imports: 'import_session',
  copies: 'copy',
  drills: 'drill',
  hosts: 'host',
  policies: 'protection_policy',
  rules: 'replication_rule',
  sagas: 'job',
  users: 'user',
  tokens: 'user',
  pairingTokens: 'pairing_token',
  audit: 'job',
};

/** @param table a name of ours, never a caller's */
export function collection<Row extends { readonly id: string }>(
  prepare: Prepare,
  name: CollectionName,
  table: string,
  emit: Emit,
): Collection<Row> {
  const select = `SELECT document FROM ${table} WHERE id = ?`;
  const insert = `INSERT INTO ${table} (id, document) VALUES (?, ?)`;
  const update = `UPDATE ${table} SET document = ? WHERE id = ?`;
  const remove = `DELETE FROM ${table} WHERE id = ?`;

  const parse = (row: Record<string, unknown>): Row => JSON.parse(String(row['document'])) as Row;
  const find = (id: string): Row | undefined => {
    const row = prepare(select).get(id);
    return row === undefined ? undefined : parse(row);
  };
  const need = (id: string): Row =>
    find(id) ?? refuse({ code: 'not_found', what: subjects[name], id });
  const where = (like: Partial<Row>): Row[] => {
    const wanted = Object.entries(like);
    const clauses = wanted.map(([member]) => `document ->> '$.${member}' IS ?`);
    const condition = clauses.length > 0 ? `WHERE ${clauses.join(' AND ')}` : '';
    const values = wanted.map(([, value]) => sqlValue(value));
    return prepare(`SELECT document FROM ${table} ${condition} ORDER BY seq`)
      .all(...values)
      .map(parse);
  };

  return {
    get: async (id) => find(id),
    need: async (id) => need(id),
    where: async (like) => where(like),
    all: async () => where({}),
    insert: async (row) => {
      const document = JSON.stringify(row);
      prepare(insert).run(row.id, document);
      emit(name, row.id, 'inserted', document);
      return row;
    },
    change: async (id, to) => {
      const before = need(id);
      const after = to(before);
      if (isDeepStrictEqual(before, after)) return before;
      const document = JSON.stringify(after);
      prepare(update).run(document, id);
      emit(name, id, 'changed', document);
      return after;
    },
    remove: async (id) => {
      if (prepare(remove).run(id).changes > 0) emit(name, id, 'removed', undefined);
    },
  };
}

function sqlValue(value: unknown): SQLInputValue {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string' || typeof value === 'number') return value;
  throw new Error(`rows are found by plain values, not by ${typeof value}`);
}
