-- +goose Up
-- Bytes of the bodies of events that are kept, as table bodies has them. A day is the
-- upper half of an event's number, which an embedded store does not use: it is 0.
CREATE TABLE body_bytes (
    tenant INTEGER NOT NULL,
    day    INTEGER NOT NULL,
    part   INTEGER NOT NULL, -- 0; on PostgreSQL one for each worker that accepts events
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, part)
) STRICT, WITHOUT ROWID;
-- Events below this number are not in body_bytes yet. They are counted in the background.
CREATE TABLE uncounted_bodies (
    tenant INTEGER PRIMARY KEY,
    below  INTEGER NOT NULL
) STRICT;
INSERT INTO uncounted_bodies
SELECT tenant, last + 1
FROM (SELECT no AS tenant, (SELECT max(seq) FROM events WHERE events.tenant = tenants.no) AS last FROM tenants)
WHERE last IS NOT NULL;
-- Bytes of recordings, as their rows say.
CREATE TABLE recording_bytes (
    tenant INTEGER PRIMARY KEY,
    bytes  INTEGER NOT NULL
) STRICT;
INSERT INTO recording_bytes SELECT tenant, sum(size) FROM recordings GROUP BY tenant;
