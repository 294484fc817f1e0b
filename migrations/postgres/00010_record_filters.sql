-- +goose Up
-- What filters of records ask for beyond the main record, beside it: a page of a
-- busy day needs neither the parties' rows nor a body.

ALTER TABLE call_records ADD COLUMN agents INTEGER NOT NULL DEFAULT 0; -- that answered, each once
ALTER TABLE call_records ADD COLUMN party_departments TEXT NOT NULL DEFAULT ''; -- |a|b|

-- Custom data, of the records that have some.
CREATE TABLE call_attached (
    tenant   BIGINT NOT NULL,
    scope    INTEGER NOT NULL,
    start_at BIGINT NOT NULL,
    call_id  TEXT COLLATE "C" NOT NULL,
    seq      BIGINT NOT NULL,
    atoms    TEXT NOT NULL, -- of an object: |a|b|
    text     TEXT NOT NULL, -- as it is serialised
    PRIMARY KEY (tenant, scope, call_id)
);
CREATE INDEX call_attached_time ON call_attached (tenant, scope, start_at DESC, call_id);
CREATE INDEX call_attached_seq ON call_attached (tenant, seq);

-- Those that are there are folded again.
UPDATE folds SET position = -1 WHERE name = 'records';
