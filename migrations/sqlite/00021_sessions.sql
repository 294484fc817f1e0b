-- +goose Up
-- Sessions of people in the console. The text of a cookie is kept as its SHA-256 only.
CREATE TABLE sessions (
    hash         BLOB PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    key_id       TEXT NOT NULL, -- the session ends when this key is revoked or expires
    ip           TEXT NOT NULL,
    agent        TEXT NOT NULL, -- User-Agent of the browser
    created_at   INTEGER NOT NULL,
    signed_in_at INTEGER NOT NULL, -- when the key was given last
    seen_at      INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_key ON sessions (key_id, created_at);
-- One-time links to sign in by, likewise as the hash of their code.
CREATE TABLE sign_in_codes (
    hash       BLOB PRIMARY KEY,
    key_id     TEXT NOT NULL, -- whom the link signs in
    expires_at INTEGER NOT NULL
) STRICT;
