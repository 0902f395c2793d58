CREATE TABLE drills (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;

CREATE INDEX drills_group ON drills (document ->> '$.groupId');
