CREATE TABLE import_sources (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
CREATE TABLE imports        (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;

CREATE UNIQUE INDEX import_sources_name ON import_sources (document ->> '$.name');
CREATE UNIQUE INDEX imports_name        ON imports        (document ->> '$.name');
