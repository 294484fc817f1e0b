-- +goose Up
-- The same tables as in SQLite.

CREATE TABLE call_records (
    tenant      BIGINT NOT NULL,
    scope       INTEGER NOT NULL,
    start_at    BIGINT NOT NULL,
    call_id     TEXT COLLATE "C" NOT NULL,
    seq         BIGINT NOT NULL,
    call_type   BIGINT NOT NULL,
    dial_type   TEXT NOT NULL,
    result      BIGINT NOT NULL,
    hangup      BIGINT NOT NULL,
    transfers   BIGINT NOT NULL,
    consults    BIGINT NOT NULL,
    customer    TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    first_agent TEXT NOT NULL,
    departments TEXT NOT NULL,
    PRIMARY KEY (tenant, scope, call_id)
);
CREATE INDEX call_records_time ON call_records (tenant, scope, start_at DESC, call_id);
CREATE INDEX call_records_seq ON call_records (tenant, seq);

CREATE TABLE party_records (
    tenant      BIGINT NOT NULL,
    scope       INTEGER NOT NULL,
    call_id     TEXT COLLATE "C" NOT NULL,
    party_id    TEXT COLLATE "C" NOT NULL,
    seq         BIGINT NOT NULL,
    start_at    BIGINT NOT NULL,
    agent_uuid  TEXT COLLATE "C" NOT NULL,
    agent_id    TEXT COLLATE "C" NOT NULL,
    answered    BOOLEAN NOT NULL,
    departments TEXT NOT NULL,
    PRIMARY KEY (tenant, scope, call_id, party_id)
);
CREATE INDEX party_records_uuid ON party_records (tenant, scope, agent_uuid, call_id) WHERE agent_uuid <> '';
CREATE INDEX party_records_agent ON party_records (tenant, scope, agent_id, call_id) WHERE agent_id <> '';
CREATE INDEX party_records_seq ON party_records (tenant, seq);
