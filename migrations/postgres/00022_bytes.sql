-- +goose Up
-- Bytes of the bodies of events that are kept, as table bodies has them. A day is the
-- upper half of an event's number.
CREATE TABLE body_bytes (
    tenant BIGINT NOT NULL,
    day    BIGINT NOT NULL,
    part   BIGINT NOT NULL, -- one for each worker that accepts events; 0: retention, and days that are over
    bytes  BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, part)
) WITH (fillfactor = 50);
-- Events below this number are not in body_bytes yet. They are counted in the background.
CREATE TABLE uncounted_bodies (
    tenant BIGINT PRIMARY KEY,
    below  BIGINT NOT NULL
);
INSERT INTO uncounted_bodies
SELECT tenant, last + 1
FROM (SELECT no AS tenant, (SELECT max(seq) FROM events WHERE events.tenant = tenants.no) AS last FROM tenants) t
WHERE last IS NOT NULL;
-- Bytes of recordings, as their rows say.
CREATE TABLE recording_bytes (
    tenant BIGINT PRIMARY KEY,
    bytes  BIGINT NOT NULL
);
INSERT INTO recording_bytes SELECT tenant, sum(size) FROM recordings GROUP BY tenant;
