-- +goose Up

-- By order key alone, which is all but unique: next to deliveries_pending, which
-- begins with the subscription too, the planner would choose by chance.
CREATE INDEX deliveries_pending_by_key ON deliveries (order_key, seq, run) WHERE state = 0 AND order_key <> 0;
DROP INDEX deliveries_pending_key;
