-- +goose Up
-- Facts of the reports, folded from events (hub/report). They outlast the bodies
-- that they come from. Times are Unix ms, lengths seconds. start_at is the
-- record's: one without it is in no report, so it has no row.

-- Main records. Clustered by time: an hour of them is read in one go.
CREATE TABLE report_calls (
    tenant     INTEGER NOT NULL,
    scope      INTEGER NOT NULL, -- 0 telemarketing, 1 bot
    start_at   INTEGER NOT NULL,
    call_id    TEXT NOT NULL,
    seq        INTEGER NOT NULL, -- of the version's event
    call_type  INTEGER NOT NULL,
    own        INTEGER NOT NULL, -- flags of the record,
    legs       INTEGER NOT NULL, -- and those that its parties give it
    talk       INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    agent_talk INTEGER NOT NULL, -- of its parties
    gateway    TEXT NOT NULL,
    route      TEXT NOT NULL,
    customer   BLOB NOT NULL, -- stands for the number
    PRIMARY KEY (tenant, scope, start_at, call_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX report_calls_id ON report_calls (tenant, scope, call_id);
CREATE INDEX report_calls_seq ON report_calls (tenant, seq);

CREATE TABLE report_parties (
    tenant      INTEGER NOT NULL,
    scope       INTEGER NOT NULL,
    start_at    INTEGER NOT NULL,
    call_id     TEXT NOT NULL,
    party_id    TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    call_no     INTEGER NOT NULL, -- the same for all parties of a call
    call_type   INTEGER NOT NULL, -- 0: that of the main record
    dial        INTEGER NOT NULL,
    role        INTEGER NOT NULL,
    result      INTEGER NOT NULL,
    talk        INTEGER NOT NULL,
    total       INTEGER NOT NULL,
    shows       INTEGER NOT NULL, -- flags, with what the main record gives it; 0: in no report of its own
    agent       TEXT NOT NULL,    -- '' when it is none
    agent_no    TEXT NOT NULL,
    agent_name  TEXT NOT NULL,
    departments TEXT NOT NULL,    -- a|b
    PRIMARY KEY (tenant, scope, start_at, call_id, party_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX report_parties_id ON report_parties (tenant, scope, call_id, party_id);
CREATE INDEX report_parties_agent ON report_parties (tenant, agent, start_at) WHERE agent <> '';
CREATE INDEX report_parties_seq ON report_parties (tenant, seq);

-- The changes of agents' states that count, and what each leads to.
CREATE TABLE report_states (
    tenant     INTEGER NOT NULL,
    agent      TEXT NOT NULL,
    start_at   INTEGER NOT NULL,
    end_at     INTEGER NOT NULL, -- 9223372036854775807: it lasts
    seq        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    says_login  INTEGER, -- null: it keeps its value
    says_reason INTEGER,
    says_work   INTEGER,
    login      INTEGER NOT NULL,
    reason     INTEGER NOT NULL,
    work       INTEGER NOT NULL,
    shows      INTEGER NOT NULL, -- flags
    agent_no   TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    PRIMARY KEY (tenant, agent, start_at)
) WITHOUT ROWID;
CREATE INDEX report_states_time ON report_states (tenant, start_at);
CREATE INDEX report_states_seq ON report_states (tenant, seq);

-- All agents, and the newest that records say of each.
CREATE TABLE report_agents (
    tenant   INTEGER NOT NULL,
    agent    TEXT NOT NULL,
    no       TEXT NOT NULL,
    no_at    INTEGER NOT NULL,
    no_seq   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    name_at  INTEGER NOT NULL,
    name_seq INTEGER NOT NULL,
    PRIMARY KEY (tenant, agent)
) WITHOUT ROWID;

-- Hours that have facts. block: the facts of the hour as columns; null: they have
-- changed since, and are those of the tables above.
CREATE TABLE report_blocks (
    tenant  INTEGER NOT NULL,
    kind    INTEGER NOT NULL, -- 0 calls, 1 of bots, 2 parties, 3 states
    slot    INTEGER NOT NULL, -- hours since 1970
    changed INTEGER NOT NULL, -- grows with each change
    block   BLOB,
    PRIMARY KEY (tenant, kind, slot)
);
CREATE INDEX report_blocks_open ON report_blocks (tenant, slot, kind) WHERE block IS NULL;
