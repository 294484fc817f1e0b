-- +goose Up
-- The audit log with strict types. In a column that is not strict a value may be of
-- another type than the column: a row whose tenant was such a value was read by
-- whoever verified the log, and not found by those who asked for the tenant's rows.
-- A value that has the wrong type becomes what the column asks for; if it is not
-- what was written, the row's code says so.
CREATE TABLE audit_strict (
    seq       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL, -- never falls while seq grows
    tenant    INTEGER NOT NULL, -- whose object it is; 0: nobody's
    platform  INTEGER NOT NULL, -- 1: the platform may read it
    who       TEXT NOT NULL,    -- id of a key, or the hub itself
    name      TEXT NOT NULL,
    ip        TEXT NOT NULL,
    action    TEXT NOT NULL,
    object    TEXT NOT NULL,
    before    TEXT NOT NULL,    -- JSON, or '' for nothing
    after     TEXT NOT NULL,
    prev_hash BLOB NOT NULL,
    hash      BLOB NOT NULL
) STRICT;
INSERT INTO audit_strict
SELECT seq, CAST(at AS INTEGER), CAST(tenant AS INTEGER), CAST(platform AS INTEGER), CAST(who AS TEXT), CAST(name AS TEXT),
    CAST(ip AS TEXT), CAST(action AS TEXT), CAST(object AS TEXT), CAST(before AS TEXT), CAST(after AS TEXT),
    CAST(prev_hash AS BLOB), CAST(hash AS BLOB) FROM audit ORDER BY seq;
DROP TABLE audit;
ALTER TABLE audit_strict RENAME TO audit;
CREATE INDEX audit_tenant ON audit (tenant, seq);
CREATE INDEX audit_platform ON audit (seq) WHERE platform;
