-- +goose Up
-- Agents, folded from events. An agent is 'u' and its UUID, or, without one, 'i'
-- and its work number. Times are Unix ms.

-- Who was named, and the newest that events say of each.
CREATE TABLE seen_agents (
    tenant     INTEGER NOT NULL,
    agent      TEXT NOT NULL,
    uuid       TEXT NOT NULL,
    id         TEXT NOT NULL,
    id_at      INTEGER NOT NULL,
    name       TEXT NOT NULL,
    name_at    INTEGER NOT NULL,
    dn         TEXT NOT NULL,
    dn_at      INTEGER NOT NULL,
    phone_type INTEGER NOT NULL,
    phone_at   INTEGER NOT NULL,
    first_at   INTEGER NOT NULL, -- 0: at no time
    seq        INTEGER NOT NULL, -- of the last event that names it
    PRIMARY KEY (tenant, agent)
) WITHOUT ROWID;
CREATE INDEX seen_agents_seq ON seen_agents (tenant, seq);

-- The changes that count, by their start. A code that is null keeps its value.
CREATE TABLE agent_statuses (
    tenant     INTEGER NOT NULL,
    agent      TEXT NOT NULL,
    start_at   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    id         TEXT NOT NULL, -- of the event
    login      INTEGER,
    reason     INTEGER,
    work       INTEGER,
    call_id    TEXT NOT NULL,
    call_type  INTEGER NOT NULL,
    PRIMARY KEY (tenant, agent, start_at)
) WITHOUT ROWID;
CREATE INDEX agent_statuses_seq ON agent_statuses (tenant, seq);

-- The longest times in which all three codes stay the same.
CREATE TABLE agent_stretches (
    tenant   INTEGER NOT NULL,
    agent    TEXT NOT NULL,
    start_at INTEGER NOT NULL,
    end_at   INTEGER NOT NULL, -- 9223372036854775807: it lasts
    id       TEXT NOT NULL,
    login    INTEGER NOT NULL,
    reason   INTEGER NOT NULL,
    work     INTEGER NOT NULL,
    login_at  INTEGER NOT NULL, -- since when the code is what it is
    reason_at INTEGER NOT NULL,
    work_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant, agent, start_at)
) WITHOUT ROWID;
CREATE INDEX agent_stretches_time ON agent_stretches (tenant, start_at, agent);

-- What events and records say of each call (hub/live), as JSON.
CREATE TABLE live_calls (
    tenant  INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    last_at INTEGER NOT NULL, -- the latest of its times
    seq     INTEGER NOT NULL, -- of the last event about it
    facts   BLOB NOT NULL,
    PRIMARY KEY (tenant, call_id)
) WITHOUT ROWID;
CREATE INDEX live_calls_time ON live_calls (tenant, last_at);
CREATE INDEX live_calls_seq ON live_calls (tenant, seq);
