import { readFileSync, readdirSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';

const folder = new URL('./migrations/', import.meta.url);

/**
 * Brings the database to this version's shape: each numbered file once, in its own transaction.
 *
 * @throws Error when the database was written by a newer version
 */
export function migrate(database: DatabaseSync): void {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .toSorted();
  const done = Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  if (done > files.length) {
    throw new Error(
      `the store has version ${done}, this program knows ${files.length}: use a newer Baton`,
    );
  }
  for (const [index, name] of files.entries()) {
    if (index < done) continue;
    const sql = readFileSync(new URL(name, folder), 'utf8');
    database.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${index + 1}; COMMIT;`);
  }
}
