-- +goose Up
-- Signs that were taken, each once, for as long as they could be taken.

CREATE TABLE used_signs (
    app      TEXT NOT NULL,
    sign     BYTEA NOT NULL,
    until_at BIGINT NOT NULL,
    PRIMARY KEY (app, sign)
);
CREATE INDEX used_signs_until ON used_signs (until_at);
