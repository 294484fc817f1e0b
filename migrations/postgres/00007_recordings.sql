-- +goose Up
-- Recordings of calls: where their bytes are, or come from.

CREATE TABLE recordings (
    tenant     BIGINT NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    source     BYTEA,             -- sealed https URL; NULL: it was uploaded
    blob       TEXT NOT NULL,    -- key in the blob store; '': not fetched yet
    size       BIGINT NOT NULL, -- bytes
    hash       BYTEA NOT NULL,    -- SHA-256 of the bytes
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- Blobs that no recording has: being written, or left behind. They are deleted
-- some time after since.
CREATE TABLE loose_blobs (
    blob  TEXT PRIMARY KEY,
    since BIGINT NOT NULL
);
CREATE INDEX loose_blobs_since ON loose_blobs (since);
