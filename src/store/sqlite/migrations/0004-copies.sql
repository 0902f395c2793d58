CREATE TABLE copies (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;

CREATE INDEX copies_group ON copies (document ->> '$.groupId');
