-- +goose Up

-- Whoever adds to a row holds it until its commit is on disk. With one row for all,
-- writers and processes would wait for each other; each has a part of its own.
ALTER TABLE delivery_hours ADD COLUMN part SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE delivery_hours DROP CONSTRAINT delivery_hours_pkey;
ALTER TABLE delivery_hours ADD PRIMARY KEY (sub, hour, class, part);
