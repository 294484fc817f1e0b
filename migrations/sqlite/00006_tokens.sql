-- +goose Up
-- Signs that were taken, each once, for as long as they could be taken.

CREATE TABLE used_signs (
    app      TEXT NOT NULL,
    sign     BLOB NOT NULL,
    until_at INTEGER NOT NULL,
    PRIMARY KEY (app, sign)
) WITHOUT ROWID;
CREATE INDEX used_signs_until ON used_signs (until_at);
