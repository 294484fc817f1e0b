-- +goose Up
-- Agents, departments, groups and queues: what events do not say.

CREATE TABLE directory (
    tenant     BIGINT NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,    -- agents, departments, groups, queues
    id         TEXT COLLATE "C" NOT NULL,
    body       TEXT NOT NULL,    -- JSON; '' of a deleted one
    version    BIGINT NOT NULL, -- grows over all tenants
    deleted_at BIGINT,          -- kept for a day, so that every process hears of it
    PRIMARY KEY (tenant, kind, id)
);
CREATE INDEX directory_version ON directory (version);
CREATE INDEX directory_deleted ON directory (deleted_at) WHERE deleted_at IS NOT NULL;

-- One row: the highest version. Who changes the directory changes it first, so
-- that versions are committed in their order.
CREATE TABLE directory_head (
    one     BIGINT PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO directory_head (one, version) VALUES (1, 0);
