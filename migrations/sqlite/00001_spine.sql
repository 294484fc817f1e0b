-- +goose Up
-- Times are Unix milliseconds unless said otherwise. Numbers of types, states
-- and error classes are those of the Go code, which never renumbers them.

CREATE TABLE tenants (
    no             INTEGER PRIMARY KEY,
    company_id     TEXT NOT NULL UNIQUE,
    name           TEXT NOT NULL,
    timezone       TEXT NOT NULL,
    settings       TEXT NOT NULL, -- JSON object
    limits         TEXT NOT NULL, -- JSON object
    allow_networks TEXT NOT NULL, -- JSON array of CIDRs
    suspended_at   INTEGER,
    deleted_at     INTEGER,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
);

CREATE TABLE keys (
    id           TEXT PRIMARY KEY, -- UUIDv7
    tenant       INTEGER NOT NULL, -- 0: platform
    role         TEXT NOT NULL,
    pii          INTEGER NOT NULL,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE, -- SHA-256 of the whole key
    created_by   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER
) WITHOUT ROWID;
CREATE INDEX keys_tenant ON keys (tenant, id);

CREATE TABLE apps (
    id         TEXT PRIMARY KEY,
    tenant     INTEGER NOT NULL,
    kind       TEXT NOT NULL, -- sobot, oauth1
    name       TEXT NOT NULL,
    secret     BLOB NOT NULL, -- sealed
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) WITHOUT ROWID;

-- One row a database: what must match before anything else is read or written.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY, -- e.g. master_key_check
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Clustered by tenant: the log of one tenant never reads another's rows.
CREATE TABLE events (
    tenant      INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    id          TEXT NOT NULL,
    type        INTEGER NOT NULL,
    order_key   TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL, -- never falls while seq grows
    source      TEXT NOT NULL,
    key_id      TEXT NOT NULL,
    process     TEXT NOT NULL,
    body_hash   BLOB NOT NULL,
    size        INTEGER NOT NULL,
    matched     INTEGER NOT NULL, -- subscriptions that wanted it
    warnings    TEXT,             -- JSON array
    traceparent TEXT,
    hops        INTEGER NOT NULL,
    test        INTEGER NOT NULL,
    PRIMARY KEY (tenant, seq)
) WITHOUT ROWID;
CREATE INDEX events_order_key ON events (tenant, order_key, seq) WHERE order_key <> '';
CREATE INDEX events_odd ON events (tenant, seq) WHERE warnings IS NOT NULL;
CREATE INDEX events_unmatched ON events (tenant, seq) WHERE matched = 0;

-- The plain bytes as they are pushed. The first byte of bytes is the format: 0 as is, 1 zstd.
CREATE TABLE bodies (
    seq    INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    bytes  BLOB NOT NULL
);

-- Masked forms, made once per policy when first pushed.
CREATE TABLE masked_bodies (
    seq    INTEGER NOT NULL,
    policy INTEGER NOT NULL,
    tenant INTEGER NOT NULL,
    bytes  BLOB NOT NULL,
    PRIMARY KEY (seq, policy)
) WITHOUT ROWID;

-- Events past payload retention whose body stays until no delivery of them is pending.
CREATE TABLE kept_bodies (
    tenant INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (tenant, seq)
) WITHOUT ROWID;

-- How far retention came: payload of the tenant's events below seq is gone, kept_bodies aside.
CREATE TABLE retention (
    tenant  INTEGER PRIMARY KEY,
    payload INTEGER NOT NULL -- seq
);

-- Ids that senders gave. An id that the hub made carries its seq instead.
CREATE TABLE event_ids (
    tenant INTEGER NOT NULL,
    id     TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    day    INTEGER NOT NULL, -- of acceptance, days since 1970
    hash   BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- HMAC of a phone number -> the events that name it: find and erase one person's data.
CREATE TABLE subjects (
    tenant  INTEGER NOT NULL,
    subject BLOB NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (tenant, subject, seq)
) WITHOUT ROWID;

CREATE TABLE subscriptions (
    no            INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE, -- UUIDv7
    tenant        INTEGER NOT NULL,
    version       INTEGER NOT NULL,     -- the current one
    name          TEXT NOT NULL,
    state         TEXT NOT NULL,        -- active, paused
    paused_reason TEXT NOT NULL,
    paused_at     INTEGER,
    paused_for    INTEGER NOT NULL,     -- ms, sum of the pauses that ended
    hold_until    INTEGER NOT NULL,     -- 0: none
    hold_reason   TEXT NOT NULL,
    breaker       TEXT NOT NULL,        -- JSON
    created_at    INTEGER NOT NULL,
    deleted_at    INTEGER               -- a tombstone: the log stays readable
);
CREATE INDEX subscriptions_tenant ON subscriptions (tenant, no);
CREATE UNIQUE INDEX subscriptions_name ON subscriptions (tenant, name) WHERE name <> '' AND deleted_at IS NULL;

-- Every version ever, all fields: an attempt is rebuilt with the one it was made with.
CREATE TABLE subscription_versions (
    version    INTEGER PRIMARY KEY, -- grows over all subscriptions
    sub        INTEGER NOT NULL,
    fields     TEXT NOT NULL,       -- JSON; header values sealed
    changed_by TEXT NOT NULL,
    at         INTEGER NOT NULL
);
CREATE INDEX subscription_versions_sub ON subscription_versions (sub, version);

CREATE TABLE subscription_keys (
    sub        INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    app_key    BLOB NOT NULL, -- sealed
    encryption BLOB NOT NULL, -- sealed
    from_at    INTEGER NOT NULL,
    until_at   INTEGER,
    PRIMARY KEY (sub, n)
) WITHOUT ROWID;

-- One row a run; run 0 is the push itself and stands for the delivery.
CREATE TABLE deliveries (
    sub           INTEGER NOT NULL,
    seq           INTEGER NOT NULL,
    run           INTEGER NOT NULL,
    order_key     INTEGER NOT NULL, -- folded; 0: no order
    type          INTEGER NOT NULL,
    version       INTEGER NOT NULL, -- of the subscription it was matched with
    state         INTEGER NOT NULL,
    tries         INTEGER NOT NULL,
    due_at        INTEGER NOT NULL,
    give_up_at    INTEGER NOT NULL, -- on the subscription's active clock
    accepted_at   INTEGER NOT NULL,
    first_try_at  INTEGER,
    done_at       INTEGER,
    last_status   INTEGER,
    last_error    INTEGER,
    late          INTEGER NOT NULL,
    aside_at      INTEGER NOT NULL, -- 0: never refused as bad
    superseded_by INTEGER,
    made_by       TEXT,             -- beyond run 0: who asked for it, and why
    reason        TEXT,
    PRIMARY KEY (sub, seq, run)
) WITHOUT ROWID;
CREATE INDEX deliveries_pending ON deliveries (sub, seq, run) WHERE state = 0;
CREATE INDEX deliveries_pending_key ON deliveries (sub, order_key, seq, run) WHERE state = 0 AND order_key <> 0;
CREATE INDEX deliveries_waiting ON deliveries (sub, seq, run) WHERE state = 0 AND tries > 0;
CREATE INDEX deliveries_trouble ON deliveries (sub, seq) WHERE state > 1 OR last_error > 0;
CREATE INDEX deliveries_runs ON deliveries (sub, seq) WHERE run > 0;

-- Append only. The request as sent is rebuilt from this row, the body and the version.
CREATE TABLE attempts (
    sub          INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    run          INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    dns          INTEGER NOT NULL, -- durations in microseconds
    connect      INTEGER NOT NULL,
    tls          INTEGER NOT NULL,
    first        INTEGER NOT NULL,
    total        INTEGER NOT NULL,
    remote_ip    TEXT NOT NULL,
    status       INTEGER NOT NULL, -- 0: no answer
    class        INTEGER NOT NULL, -- 0: it succeeded
    error        TEXT,
    header       TEXT NOT NULL,
    body         BLOB,
    signed_at    INTEGER NOT NULL,
    random_code  TEXT NOT NULL,
    nonce        BLOB,
    key_n        INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    late         INTEGER NOT NULL,
    replay       INTEGER NOT NULL,
    process      TEXT NOT NULL,
    epoch        INTEGER NOT NULL,
    PRIMARY KEY (sub, seq, run, n)
) WITHOUT ROWID;

-- Health, stats and reconciliation without scanning deliveries or attempts.
-- Deliveries count in the hour in which their event was accepted: matched =
-- delivered + exhausted + expired + cancelled + superseded + pending, always.
-- Attempts count in the hour in which they began; l<b>: those that took as long
-- as bucket b of delivery.Latencies says.
CREATE TABLE delivery_hours (
    sub        INTEGER NOT NULL,
    hour       INTEGER NOT NULL, -- hours since 1970
    class      INTEGER NOT NULL,
    matched    INTEGER NOT NULL DEFAULT 0,
    delivered  INTEGER NOT NULL DEFAULT 0,
    exhausted  INTEGER NOT NULL DEFAULT 0,
    expired    INTEGER NOT NULL DEFAULT 0,
    cancelled  INTEGER NOT NULL DEFAULT 0,
    superseded INTEGER NOT NULL DEFAULT 0,
    ok         INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    l0 INTEGER NOT NULL DEFAULT 0, l1 INTEGER NOT NULL DEFAULT 0, l2 INTEGER NOT NULL DEFAULT 0, l3 INTEGER NOT NULL DEFAULT 0,
    l4 INTEGER NOT NULL DEFAULT 0, l5 INTEGER NOT NULL DEFAULT 0, l6 INTEGER NOT NULL DEFAULT 0, l7 INTEGER NOT NULL DEFAULT 0,
    l8 INTEGER NOT NULL DEFAULT 0, l9 INTEGER NOT NULL DEFAULT 0, l10 INTEGER NOT NULL DEFAULT 0, l11 INTEGER NOT NULL DEFAULT 0,
    l12 INTEGER NOT NULL DEFAULT 0, l13 INTEGER NOT NULL DEFAULT 0, l14 INTEGER NOT NULL DEFAULT 0, l15 INTEGER NOT NULL DEFAULT 0,
    l16 INTEGER NOT NULL DEFAULT 0, l17 INTEGER NOT NULL DEFAULT 0, l18 INTEGER NOT NULL DEFAULT 0, l19 INTEGER NOT NULL DEFAULT 0,
    l20 INTEGER NOT NULL DEFAULT 0, l21 INTEGER NOT NULL DEFAULT 0, l22 INTEGER NOT NULL DEFAULT 0, l23 INTEGER NOT NULL DEFAULT 0,
    l24 INTEGER NOT NULL DEFAULT 0, l25 INTEGER NOT NULL DEFAULT 0, l26 INTEGER NOT NULL DEFAULT 0, l27 INTEGER NOT NULL DEFAULT 0,
    l28 INTEGER NOT NULL DEFAULT 0, l29 INTEGER NOT NULL DEFAULT 0, l30 INTEGER NOT NULL DEFAULT 0, l31 INTEGER NOT NULL DEFAULT 0,
    l32 INTEGER NOT NULL DEFAULT 0, l33 INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sub, hour, class)
) WITHOUT ROWID;

-- Attempts of the last hour by the minute in which they began. A ring: a minute
-- takes the row of the one 64 before it, so nothing needs to be trimmed.
CREATE TABLE delivery_minutes (
    sub    INTEGER NOT NULL,
    slot   INTEGER NOT NULL, -- minute % 64
    minute INTEGER NOT NULL, -- minutes since 1970
    ok     INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    l0 INTEGER NOT NULL, l1 INTEGER NOT NULL, l2 INTEGER NOT NULL, l3 INTEGER NOT NULL,
    l4 INTEGER NOT NULL, l5 INTEGER NOT NULL, l6 INTEGER NOT NULL, l7 INTEGER NOT NULL,
    l8 INTEGER NOT NULL, l9 INTEGER NOT NULL, l10 INTEGER NOT NULL, l11 INTEGER NOT NULL,
    l12 INTEGER NOT NULL, l13 INTEGER NOT NULL, l14 INTEGER NOT NULL, l15 INTEGER NOT NULL,
    l16 INTEGER NOT NULL, l17 INTEGER NOT NULL, l18 INTEGER NOT NULL, l19 INTEGER NOT NULL,
    l20 INTEGER NOT NULL, l21 INTEGER NOT NULL, l22 INTEGER NOT NULL, l23 INTEGER NOT NULL,
    l24 INTEGER NOT NULL, l25 INTEGER NOT NULL, l26 INTEGER NOT NULL, l27 INTEGER NOT NULL,
    l28 INTEGER NOT NULL, l29 INTEGER NOT NULL, l30 INTEGER NOT NULL, l31 INTEGER NOT NULL,
    l32 INTEGER NOT NULL, l33 INTEGER NOT NULL,
    PRIMARY KEY (sub, slot)
) WITHOUT ROWID;

-- The latest failed attempt of each subscription.
CREATE TABLE last_errors (
    sub         INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    status      INTEGER NOT NULL, -- 0: no answer
    class       INTEGER NOT NULL,
    error       TEXT NOT NULL
);

-- Append only: every row is chained to the one before (hub/audit), the last one
-- to the row audit_head of meta.
CREATE TABLE audit (
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
);
CREATE INDEX audit_tenant ON audit (tenant, seq);
CREATE INDEX audit_platform ON audit (seq) WHERE platform;

CREATE TABLE folds (
    name     TEXT NOT NULL,
    tenant   INTEGER NOT NULL, -- 0: all
    position INTEGER NOT NULL,
    PRIMARY KEY (name, tenant)
) WITHOUT ROWID;

CREATE TABLE jobs (
    id         TEXT PRIMARY KEY,
    tenant     INTEGER NOT NULL,
    kind       TEXT NOT NULL, -- replay, delete, retention, export
    filter     TEXT NOT NULL,
    made_by    TEXT NOT NULL,
    progress   TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
