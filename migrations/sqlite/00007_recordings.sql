-- +goose Up
-- Recordings of calls: where their bytes are, or come from.

CREATE TABLE recordings (
    tenant     INTEGER NOT NULL,
    id         TEXT NOT NULL,
    source     BLOB,             -- sealed https URL; NULL: it was uploaded
    blob       TEXT NOT NULL,    -- key in the blob store; '': not fetched yet
    size       INTEGER NOT NULL, -- bytes
    hash       BLOB NOT NULL,    -- SHA-256 of the bytes
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- Blobs that no recording has: being written, or left behind. They are deleted
-- some time after since.
CREATE TABLE loose_blobs (
    blob  TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX loose_blobs_since ON loose_blobs (since);
