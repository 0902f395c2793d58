/** Commits numbered rows, each durably, and prints a number once its commit was acknowledged. */
import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const [file = ''] = process.argv.slice(2);
const database = new DatabaseSync(file);
database.exec(`PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 50;
  CREATE TABLE commits (number INTEGER PRIMARY KEY, filling BLOB)`);
const insert = database.prepare('INSERT INTO commits VALUES (?, randomblob(2000))');
for (let number = 1; ; number += 1) {
  insert.run(number);
  writeSync(process.stdout.fd, `${number}\n`);
}
