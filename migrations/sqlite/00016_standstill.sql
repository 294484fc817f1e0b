-- +goose Up
-- What receivers' Retry-After takes from the active clock (subscriptions/clock.go),
-- and how often a person ended the holds of a subscription.
ALTER TABLE subscriptions ADD COLUMN releases INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN still_past INTEGER NOT NULL DEFAULT 0;  -- ms, sum of the spans that are over
ALTER TABLE subscriptions ADD COLUMN still_from INTEGER NOT NULL DEFAULT 0;  -- Unix ms, the last span; 0: it is in still_past
ALTER TABLE subscriptions ADD COLUMN still_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN still_mark INTEGER NOT NULL DEFAULT 0;  -- of the last change of these
CREATE INDEX subscriptions_still ON subscriptions (still_mark) WHERE still_mark > 0;

-- One row: the highest mark. Whoever changes a standstill changes it first, so
-- that marks are committed in their order.
CREATE TABLE standstill_head (
    one  INTEGER PRIMARY KEY,
    mark INTEGER NOT NULL
);
INSERT INTO standstill_head (one, mark) VALUES (1, 0);
