-- +goose Up
-- What filters of records ask for beyond the main record, beside it: a page of a
-- busy day needs neither the parties' rows nor a body.

ALTER TABLE call_records ADD COLUMN agents INTEGER NOT NULL DEFAULT 0; -- that answered, each once
ALTER TABLE call_records ADD COLUMN party_departments TEXT NOT NULL DEFAULT ''; -- |a|b|

-- Custom data, of the records that have some.
CREATE TABLE call_attached (
    tenant   INTEGER NOT NULL,
    scope    INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    call_id  TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    atoms    TEXT NOT NULL, -- of an object: |a|b|
    text     TEXT NOT NULL, -- as it is serialised
    PRIMARY KEY (tenant, scope, start_at DESC, call_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX call_attached_id ON call_attached (tenant, scope, call_id);
CREATE INDEX call_attached_seq ON call_attached (tenant, seq);

-- Those that are there are folded again.
UPDATE folds SET position = -1 WHERE name = 'records';
