-- +goose Up
-- Sources: ways in for platforms that do not speak the hub's own JSON (hub/source).
CREATE TABLE sources (
    no         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    tenant     BIGINT NOT NULL,
    state      TEXT NOT NULL,
    version    BIGINT NOT NULL,
    config     TEXT NOT NULL,    -- JSON, without auth
    auth       BYTEA NOT NULL,    -- JSON, sealed
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX sources_tenant ON sources (tenant, no) WHERE deleted_at IS NULL;

-- What opens a source. NULL: until it is rotated.
CREATE TABLE source_tokens (
    hash     BYTEA PRIMARY KEY,
    source   BIGINT NOT NULL,
    until_at BIGINT
);
CREATE INDEX source_tokens_source ON source_tokens (source);

-- What came in, as it came. Numbers grow and are never used twice: ids of events are made of
-- them. Status: 0 held, 1 mapped, 2 ignored, 3 rejected.
CREATE TABLE source_inputs (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      BIGINT NOT NULL,
    dedupe      BYTEA,
    received_at BIGINT NOT NULL,
    meta        TEXT NOT NULL,      -- JSON: headers, query, rest of the path, method
    bytes       BYTEA NOT NULL,
    size        BIGINT NOT NULL,
    status      BIGINT NOT NULL,
    reason      TEXT NOT NULL,
    row_no      BIGINT NOT NULL,   -- of the mapping; 0: none
    version     BIGINT NOT NULL,   -- of the source that mapped it
    events      BIGINT NOT NULL,
    replayed    BIGINT NOT NULL
);
CREATE INDEX source_inputs_status ON source_inputs (source, status, seq);
CREATE INDEX source_inputs_source ON source_inputs (source, seq);
CREATE INDEX source_inputs_held ON source_inputs (source, seq) WHERE status = 0;
CREATE UNIQUE INDEX source_inputs_dedupe ON source_inputs (source, dedupe) WHERE dedupe IS NOT NULL;

-- How far a source is. mark grows with every transaction that maps: whoever maps with a state
-- that is out of date finds another mark, and nothing of that is committed.
CREATE TABLE source_marks (
    source          BIGINT PRIMARY KEY,
    mark            BIGINT NOT NULL,
    inputs          BIGINT NOT NULL,
    bytes           BIGINT NOT NULL,
    held            BIGINT NOT NULL,
    held_bytes      BIGINT NOT NULL,
    last_input_at   BIGINT NOT NULL,
    unsigned_hour   BIGINT NOT NULL, -- the hour in which inputs were not signed right, and
    unsigned_inputs BIGINT NOT NULL  -- how many of them were kept
);

-- What the assembler holds of a source: open calls, agents, waits, timers.
CREATE TABLE source_state (
    source BIGINT NOT NULL,
    item   TEXT NOT NULL,
    value  BYTEA NOT NULL,
    PRIMARY KEY (source, item)
);
