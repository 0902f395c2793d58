-- One table a collection. A row is the domain's own value as JSON: its shape is checked by the
-- types of the one program that writes it, and a new member needs no migration.
CREATE TABLE site           (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE peers          (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE links          (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE volumes        (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE groups         (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE points         (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE sessions       (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE forks          (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE hosts          (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE sagas          (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE users          (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE tokens         (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE pairing_tokens (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE audit          (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;

CREATE UNIQUE INDEX volumes_name ON volumes (document ->> '$.name');
CREATE UNIQUE INDEX groups_name  ON groups  (document ->> '$.name');
CREATE UNIQUE INDEX hosts_name   ON hosts   (document ->> '$.name');
CREATE UNIQUE INDEX users_name   ON users   (document ->> '$.name');
CREATE INDEX volumes_group  ON volumes  (document ->> '$.groupId');
CREATE INDEX points_group   ON points   (document ->> '$.groupId');
CREATE INDEX sessions_group ON sessions (document ->> '$.groupId');
CREATE INDEX forks_group    ON forks    (document ->> '$.groupId');
CREATE INDEX sagas_state    ON sagas    (document ->> '$.state');
CREATE INDEX sagas_group    ON sagas    (document ->> '$.groupId');

CREATE TABLE events (
  sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
  at         INTEGER NOT NULL,
  collection TEXT NOT NULL,
  id         TEXT NOT NULL,
  change     TEXT NOT NULL,
  document   TEXT
) STRICT;

CREATE TABLE engine_records (group_id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
