import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** The statement of a text of SQL, made ready when it is first wanted and kept. */
export type Prepare = (sql: string) => StatementSync;

/** @returns for texts that do not hold values: each different one is kept as long as the database */
export function preparing(database: DatabaseSync): Prepare {
  const ready = new Map<string, StatementSync>();
  return (sql) => {
    const known = ready.get(sql);
    if (known !== undefined) return known;
    const made = database.prepare(sql);
    ready.set(sql, made);
    return made;
  };
}
