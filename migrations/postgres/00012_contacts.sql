-- +goose Up
-- Contacts that wait, chats and visitors, folded from events. Times are Unix ms,
-- 0: none.

-- What events say of each chat (hub/live), as JSON.
CREATE TABLE live_chats (
    tenant   BIGINT NOT NULL,
    chat_id  TEXT COLLATE "C" NOT NULL,
    first_at BIGINT NOT NULL, -- the earliest of its times
    last_at  BIGINT NOT NULL, -- the latest
    seq      BIGINT NOT NULL, -- of the last event about it
    facts    BYTEA NOT NULL,
    PRIMARY KEY (tenant, chat_id)
);
CREATE INDEX live_chats_time ON live_chats (tenant, last_at, first_at);
CREATE INDEX live_chats_seq ON live_chats (tenant, seq);

-- The last that was heard of each visitor of the site.
CREATE TABLE live_visitors (
    tenant     BIGINT NOT NULL,
    visitor_id TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    here       BIGINT NOT NULL, -- 1: arrived, 0: left
    seq        BIGINT NOT NULL,
    PRIMARY KEY (tenant, visitor_id)
);
CREATE INDEX live_visitors_time ON live_visitors (tenant, here, at);
CREATE INDEX live_visitors_seq ON live_visitors (tenant, seq);

-- Queues that events name, with the media of the earliest.
CREATE TABLE seen_queues (
    tenant BIGINT NOT NULL,
    queue  TEXT COLLATE "C" NOT NULL,
    media  TEXT NOT NULL,
    at     BIGINT NOT NULL,
    seq    BIGINT NOT NULL, -- of the last event that names it
    PRIMARY KEY (tenant, queue)
);
CREATE INDEX seen_queues_seq ON seen_queues (tenant, seq);

-- Waits in a queue that are over: for how long, and what became of them.
CREATE TABLE waits (
    tenant     BIGINT NOT NULL,
    media          TEXT COLLATE "C" NOT NULL, -- call, chat
    contact_id TEXT COLLATE "C" NOT NULL, -- callID or chatId
    queue  TEXT COLLATE "C" NOT NULL,
    entered_at     BIGINT NOT NULL,
    ended_at       BIGINT NOT NULL,
    outcome        TEXT NOT NULL, -- of queue.left; '': the contact went to another queue, or its call or chat ended
    agent          TEXT NOT NULL, -- agentUUID that answered
    department_id  TEXT NOT NULL,
    group_id       TEXT NOT NULL,
    campaign_id    TEXT NOT NULL,
    gateway_number TEXT NOT NULL,
    call_type      BIGINT NOT NULL,
    seq            BIGINT NOT NULL, -- of the event that made it so
    PRIMARY KEY (tenant, media, contact_id, entered_at, queue)
);
CREATE INDEX waits_time ON waits (tenant, entered_at);
CREATE INDEX waits_seq ON waits (tenant, seq);

-- When agents who never told their state had their parties in calls.
CREATE TABLE agent_calls (
    tenant  BIGINT NOT NULL,
    agent   TEXT COLLATE "C" NOT NULL,
    call_id TEXT COLLATE "C" NOT NULL,
    until   BIGINT NOT NULL, -- its end; while nothing says one, the last that was heard of the call
    last_at BIGINT NOT NULL, -- the latest time of the call
    seq     BIGINT NOT NULL, -- of the event that made it so
    PRIMARY KEY (tenant, agent, call_id)
);
CREATE INDEX agent_calls_until ON agent_calls (tenant, agent, until);
CREATE INDEX agent_calls_seq ON agent_calls (tenant, seq);

-- Since when an agent is logged in (0: it is not), and when it last became ready.
ALTER TABLE agent_stretches ADD COLUMN logged_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE agent_stretches ADD COLUMN ready_at BIGINT NOT NULL DEFAULT 0;

-- Both hold more than they did: they are made anew.
UPDATE folds SET position = -1 WHERE name IN ('agents', 'calls');
