-- +goose Up
-- The same as in SQLite.
ALTER TABLE deliveries ADD COLUMN replay BIGINT;
CREATE INDEX deliveries_replay ON deliveries (replay, sub, seq, state) WHERE replay IS NOT NULL;
CREATE INDEX deliveries_replaying ON deliveries (sub, seq, run) WHERE state = 7;

ALTER TABLE jobs ADD COLUMN no BIGINT;
CREATE UNIQUE INDEX jobs_no ON jobs (no) WHERE no IS NOT NULL;
CREATE INDEX jobs_tenant ON jobs (tenant, kind, no) WHERE no IS NOT NULL;
