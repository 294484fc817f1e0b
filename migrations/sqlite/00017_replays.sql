-- +goose Up
-- Replays: runs that go out beside the live ones (delivery/replays.go). A run
-- carries the number of the job that made it. While it is pending its state is 7,
-- so that no index and no question about what is pending live knows of it.
ALTER TABLE deliveries ADD COLUMN replay INTEGER;
CREATE INDEX deliveries_replay ON deliveries (replay, sub, seq, state) WHERE replay IS NOT NULL;
CREATE INDEX deliveries_replaying ON deliveries (sub, seq, run) WHERE state = 7;

-- Jobs that people ask for (kinds replay and cancellation) have a number, which
-- grows over all tenants.
ALTER TABLE jobs ADD COLUMN no INTEGER;
CREATE UNIQUE INDEX jobs_no ON jobs (no) WHERE no IS NOT NULL;
CREATE INDEX jobs_tenant ON jobs (tenant, kind, no) WHERE no IS NOT NULL;
