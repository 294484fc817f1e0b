-- +goose Up
-- Sources: ways in for platforms that do not speak the hub's own JSON (hub/source).
CREATE TABLE sources (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    tenant     INTEGER NOT NULL,
    state      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    config     TEXT NOT NULL,    -- JSON, without auth
    auth       BLOB NOT NULL,    -- JSON, sealed
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX sources_tenant ON sources (tenant, no) WHERE deleted_at IS NULL;

-- What opens a source. NULL: until it is rotated.
CREATE TABLE source_tokens (
    hash     BLOB PRIMARY KEY,
    source   INTEGER NOT NULL,
    until_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX source_tokens_source ON source_tokens (source);

-- What came in, as it came. Numbers grow and are never used twice: ids of events are made of
-- them. Status: 0 held, 1 mapped, 2 ignored, 3 rejected.
CREATE TABLE source_inputs (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    source      INTEGER NOT NULL,
    dedupe      BLOB,
    received_at INTEGER NOT NULL,
    meta        TEXT NOT NULL,      -- JSON: headers, query, rest of the path, method
    bytes       BLOB NOT NULL,
    size        INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    row_no      INTEGER NOT NULL,   -- of the mapping; 0: none
    version     INTEGER NOT NULL,   -- of the source that mapped it
    events      INTEGER NOT NULL,
    replayed    INTEGER NOT NULL
) STRICT;
CREATE INDEX source_inputs_status ON source_inputs (source, status, seq);
CREATE INDEX source_inputs_source ON source_inputs (source, seq);
CREATE INDEX source_inputs_held ON source_inputs (source, seq) WHERE status = 0;
CREATE UNIQUE INDEX source_inputs_dedupe ON source_inputs (source, dedupe) WHERE dedupe IS NOT NULL;

-- How far a source is. mark grows with every transaction that maps: whoever maps with a state
-- that is out of date finds another mark, and nothing of that is committed.
CREATE TABLE source_marks (
    source          INTEGER PRIMARY KEY,
    mark            INTEGER NOT NULL,
    inputs          INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    held            INTEGER NOT NULL,
    held_bytes      INTEGER NOT NULL,
    last_input_at   INTEGER NOT NULL,
    unsigned_hour   INTEGER NOT NULL, -- the hour in which inputs were not signed right, and
    unsigned_inputs INTEGER NOT NULL  -- how many of them were kept
) STRICT;

-- What the assembler holds of a source: open calls, agents, waits, timers.
CREATE TABLE source_state (
    source INTEGER NOT NULL,
    item   TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (source, item)
) STRICT, WITHOUT ROWID;
