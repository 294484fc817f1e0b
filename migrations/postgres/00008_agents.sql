-- +goose Up
-- Agents, folded from events. An agent is 'u' and its UUID, or, without one, 'i'
-- and its work number. Times are Unix ms.

-- Who was named, and the newest that events say of each.
CREATE TABLE seen_agents (
    tenant     BIGINT NOT NULL,
    agent      TEXT COLLATE "C" NOT NULL,
    uuid       TEXT NOT NULL,
    id         TEXT NOT NULL,
    id_at      BIGINT NOT NULL,
    name       TEXT NOT NULL,
    name_at    BIGINT NOT NULL,
    dn         TEXT NOT NULL,
    dn_at      BIGINT NOT NULL,
    phone_type BIGINT NOT NULL,
    phone_at   BIGINT NOT NULL,
    first_at   BIGINT NOT NULL, -- 0: at no time
    seq        BIGINT NOT NULL, -- of the last event that names it
    PRIMARY KEY (tenant, agent)
);
CREATE INDEX seen_agents_seq ON seen_agents (tenant, seq);

-- The changes that count, by their start. A code that is null keeps its value.
CREATE TABLE agent_statuses (
    tenant     BIGINT NOT NULL,
    agent      TEXT COLLATE "C" NOT NULL,
    start_at   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    id         TEXT NOT NULL, -- of the event
    login      BIGINT,
    reason     BIGINT,
    work       BIGINT,
    call_id    TEXT NOT NULL,
    call_type  BIGINT NOT NULL,
    PRIMARY KEY (tenant, agent, start_at)
);
CREATE INDEX agent_statuses_seq ON agent_statuses (tenant, seq);

-- The longest times in which all three codes stay the same.
CREATE TABLE agent_stretches (
    tenant   BIGINT NOT NULL,
    agent    TEXT COLLATE "C" NOT NULL,
    start_at BIGINT NOT NULL,
    end_at   BIGINT NOT NULL, -- 9223372036854775807: it lasts
    id       TEXT NOT NULL,
    login    BIGINT NOT NULL,
    reason   BIGINT NOT NULL,
    work     BIGINT NOT NULL,
    login_at  BIGINT NOT NULL, -- since when the code is what it is
    reason_at BIGINT NOT NULL,
    work_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant, agent, start_at)
);
CREATE INDEX agent_stretches_time ON agent_stretches (tenant, start_at, agent);

-- What events and records say of each call (hub/live), as JSON.
CREATE TABLE live_calls (
    tenant  BIGINT NOT NULL,
    call_id TEXT COLLATE "C" NOT NULL,
    last_at BIGINT NOT NULL, -- the latest of its times
    seq     BIGINT NOT NULL, -- of the last event about it
    facts   BYTEA NOT NULL,
    PRIMARY KEY (tenant, call_id)
);
CREATE INDEX live_calls_time ON live_calls (tenant, last_at);
CREATE INDEX live_calls_seq ON live_calls (tenant, seq);
