-- +goose Up
-- Call detail records, folded from their events: the current version of each.
-- The body is that of the event; what is here is looked for. Absent numbers are
-- 0, absent texts ''.

-- Clustered by time: a page of a range is read in one go.
CREATE TABLE call_records (
    tenant      INTEGER NOT NULL,
    scope       INTEGER NOT NULL, -- 0 telemarketing, 1 bot
    start_at    INTEGER NOT NULL,
    call_id     TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    call_type   INTEGER NOT NULL,
    dial_type   TEXT NOT NULL,
    result      INTEGER NOT NULL,
    hangup      INTEGER NOT NULL,
    transfers   INTEGER NOT NULL,
    consults    INTEGER NOT NULL,
    customer    TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    first_agent TEXT NOT NULL, -- UUID
    departments TEXT NOT NULL, -- |a|b|
    PRIMARY KEY (tenant, scope, start_at DESC, call_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX call_records_id ON call_records (tenant, scope, call_id);
CREATE INDEX call_records_seq ON call_records (tenant, seq);

CREATE TABLE party_records (
    tenant      INTEGER NOT NULL,
    scope       INTEGER NOT NULL,
    call_id     TEXT NOT NULL,
    party_id    TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    start_at    INTEGER NOT NULL,
    agent_uuid  TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    answered    INTEGER NOT NULL, -- by an agent
    departments TEXT NOT NULL,
    PRIMARY KEY (tenant, scope, call_id, party_id)
) WITHOUT ROWID;
CREATE INDEX party_records_uuid ON party_records (tenant, scope, agent_uuid, call_id) WHERE agent_uuid <> '';
CREATE INDEX party_records_agent ON party_records (tenant, scope, agent_id, call_id) WHERE agent_id <> '';
CREATE INDEX party_records_seq ON party_records (tenant, seq);
