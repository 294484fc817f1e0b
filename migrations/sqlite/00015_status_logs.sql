-- +goose Up
-- Status logs are counted and picked by time and codes: from this index alone.
DROP INDEX agent_stretches_time;
CREATE INDEX agent_stretches_time ON agent_stretches (tenant, start_at, agent, login, reason, work);
