-- +goose Up
-- delivery_hours also counts by type: its column class says 100 + the type from now
-- on, and the class in rows from before. Its rows of a negative sub count the events of
-- the tenant with that number (storage/event_counts.go). counts_from is the first hour
-- of which both are whole; a new store has none, and counts from its beginning.
INSERT INTO meta (name, value)
    SELECT 'counts_from', CAST(unixepoch() / 3600 + 1 AS TEXT) WHERE EXISTS (SELECT 1 FROM events);

-- Failed attempts by their error class, in the hour in which they began.
CREATE TABLE error_hours (
    sub      INTEGER NOT NULL,
    hour     INTEGER NOT NULL,
    error    INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (sub, hour, error)
) WITHOUT ROWID;
