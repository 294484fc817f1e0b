-- +goose Up
-- Facts of the reports, folded from events (hub/report). They outlast the bodies
-- that they come from. Times are Unix ms, lengths seconds. start_at is the
-- record's: one without it is in no report, so it has no row.

-- Main records.
CREATE TABLE report_calls (
    tenant     BIGINT NOT NULL,
    scope      INTEGER NOT NULL, -- 0 telemarketing, 1 bot
    start_at   BIGINT NOT NULL,
    call_id    TEXT COLLATE "C" NOT NULL,
    seq        BIGINT NOT NULL, -- of the version's event
    call_type  BIGINT NOT NULL,
    own        BIGINT NOT NULL, -- flags of the record,
    legs       BIGINT NOT NULL, -- and those that its parties give it
    talk       BIGINT NOT NULL,
    total      BIGINT NOT NULL,
    agent_talk BIGINT NOT NULL, -- of its parties
    gateway    TEXT NOT NULL,
    route      TEXT NOT NULL,
    customer   BYTEA NOT NULL, -- stands for the number
    PRIMARY KEY (tenant, scope, call_id)
);
CREATE INDEX report_calls_time ON report_calls (tenant, scope, start_at);
CREATE INDEX report_calls_seq ON report_calls (tenant, seq);

CREATE TABLE report_parties (
    tenant      BIGINT NOT NULL,
    scope       INTEGER NOT NULL,
    start_at    BIGINT NOT NULL,
    call_id     TEXT COLLATE "C" NOT NULL,
    party_id    TEXT COLLATE "C" NOT NULL,
    seq         BIGINT NOT NULL,
    call_no     BIGINT NOT NULL, -- the same for all parties of a call
    call_type   BIGINT NOT NULL, -- 0: that of the main record
    dial        BIGINT NOT NULL,
    role        BIGINT NOT NULL,
    result      BIGINT NOT NULL,
    talk        BIGINT NOT NULL,
    total       BIGINT NOT NULL,
    shows       BIGINT NOT NULL, -- flags, with what the main record gives it; 0: in no report of its own
    agent       TEXT COLLATE "C" NOT NULL,    -- '' when it is none
    agent_no    TEXT NOT NULL,
    agent_name  TEXT NOT NULL,
    departments TEXT NOT NULL,    -- a|b
    PRIMARY KEY (tenant, scope, call_id, party_id)
);
CREATE INDEX report_parties_time ON report_parties (tenant, scope, start_at);
CREATE INDEX report_parties_agent ON report_parties (tenant, agent, start_at) WHERE agent <> '';
CREATE INDEX report_parties_seq ON report_parties (tenant, seq);

-- The changes of agents' states that count, and what each leads to.
CREATE TABLE report_states (
    tenant     BIGINT NOT NULL,
    agent      TEXT COLLATE "C" NOT NULL,
    start_at   BIGINT NOT NULL,
    end_at     BIGINT NOT NULL, -- 9223372036854775807: it lasts
    seq        BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    says_login  BIGINT, -- null: it keeps its value
    says_reason BIGINT,
    says_work   BIGINT,
    login      BIGINT NOT NULL,
    reason     BIGINT NOT NULL,
    work       BIGINT NOT NULL,
    shows      BIGINT NOT NULL, -- flags
    agent_no   TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    PRIMARY KEY (tenant, agent, start_at)
);
CREATE INDEX report_states_time ON report_states (tenant, start_at);
CREATE INDEX report_states_seq ON report_states (tenant, seq);

-- All agents, and the newest that records say of each.
CREATE TABLE report_agents (
    tenant   BIGINT NOT NULL,
    agent    TEXT COLLATE "C" NOT NULL,
    no       TEXT NOT NULL,
    no_at    BIGINT NOT NULL,
    no_seq   BIGINT NOT NULL,
    name     TEXT NOT NULL,
    name_at  BIGINT NOT NULL,
    name_seq BIGINT NOT NULL,
    PRIMARY KEY (tenant, agent)
);

-- Hours that have facts. block: the facts of the hour as columns; null: they have
-- changed since, and are those of the tables above.
CREATE TABLE report_blocks (
    tenant  BIGINT NOT NULL,
    kind    INTEGER NOT NULL, -- 0 calls, 1 of bots, 2 parties, 3 states
    slot    BIGINT NOT NULL, -- hours since 1970
    changed BIGINT NOT NULL, -- grows with each change
    block   BYTEA,
    PRIMARY KEY (tenant, kind, slot)
);
CREATE INDEX report_blocks_open ON report_blocks (tenant, slot, kind) WHERE block IS NULL;

-- Blocks are compressed already.
ALTER TABLE report_blocks ALTER COLUMN block SET STORAGE EXTERNAL;
