// Package access finds out who is calling: API keys, tokens and signatures, their
// roles and their tenants. Everything that a request may touch follows from the
// Caller that its credential gives; nothing in a body or path can widen it.
package access

import (
	"cmp"
	"time"
)

// Role says what a key may do. A key has one role.
type Role string

// The roles of the contract.
const (
	Platform Role = "platform" // tenants, their limits, networks and keys; nothing inside a tenant
	Owner    Role = "owner"    // all within the tenant
	Ingest   Role = "ingest"   // POST /v1/events* only
	Query    Role = "query"    // vendor query APIs, boards, reports
	Auditor  Role = "auditor"  // events, deliveries, attempts, audit log: read only
)

// Roles are all of them, in the order of the contract.
var Roles = []Role{Platform, Owner, Ingest, Query, Auditor}

// Key is a credential as the store keeps it: of its secret there is a hash only.
type Key struct {
	ID        string     `json:"id"`
	Tenant    int64      `json:"-"` // 0 for platform keys
	CompanyID string     `json:"companyId,omitempty"`
	Role      Role       `json:"role"`
	PII       bool       `json:"pii"` // an auditor, or one who queries, that sees numbers unmasked
	Name      string     `json:"name"`
	Hash      [32]byte   `json:"-"` // SHA-256 of the whole key
	CreatedBy string     `json:"createdBy,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	RevokedAt *time.Time `json:"revokedAt,omitempty"`
	LastUsed  *time.Time `json:"lastUsedAt,omitempty"`
}

// Tenant is one enterprise.
type Tenant struct {
	No            int64          `json:"-"`
	CompanyID     string         `json:"companyId"`
	Name          string         `json:"name"`
	Timezone      string         `json:"timezone"`
	Settings      map[string]any `json:"settings"`
	Limits        Limits         `json:"limits"`
	AllowNetworks []string       `json:"allowNetworks"` // CIDRs that this tenant's pushes may reach although private
	SuspendedAt   *time.Time     `json:"suspendedAt,omitempty"`
	Version       int64          `json:"version"`
	CreatedAt     time.Time      `json:"createdAt"`
	UpdatedAt     time.Time      `json:"updatedAt"`
}

// Strict reports whether the tenant wants events with odd values to be refused, by
// its setting validation.
func (t *Tenant) Strict() bool { return t.Settings["validation"] == "strict" }

// Limits are those of one tenant; what is past them is answered 429 with the reason.
// Zero values mean the defaults.
type Limits struct {
	EventsPerSecond   int `json:"eventsPerSecond"`   // default 1,000
	Subscriptions     int `json:"subscriptions"`     // default 100
	Keys              int `json:"keys"`              // default 100
	PendingDeliveries int `json:"pendingDeliveries"` // default 5,000,000
	SSEStreams        int `json:"sseStreams"`        // default 200
	Exports           int `json:"exports"`           // default 2 at a time, replays too

	// Bytes that the store keeps of the tenant; 0: as many as there are.
	EventBytes     int `json:"eventBytes,omitempty"`     // bodies of events, as they are stored
	RecordingBytes int `json:"recordingBytes,omitempty"` // recordings
	Sources        int `json:"sources"`                  // default 100
}

// QuotaRetry is after how long whoever is past a limit in bytes may ask again. Retention
// makes room, once an hour.
const QuotaRetry = 10 * time.Minute

// DefaultLimits are those that hold where a tenant's own are zero.
var DefaultLimits = Limits{
	EventsPerSecond:   1_000,
	Subscriptions:     100,
	Keys:              100,
	PendingDeliveries: 5_000_000,
	SSEStreams:        200,
	Exports:           2,
	Sources:           100,
}

// Effective returns the limits that hold: those of l, and the defaults where l is
// zero.
func (l Limits) Effective() Limits {
	return Limits{
		EventsPerSecond:   cmp.Or(l.EventsPerSecond, DefaultLimits.EventsPerSecond),
		Subscriptions:     cmp.Or(l.Subscriptions, DefaultLimits.Subscriptions),
		Keys:              cmp.Or(l.Keys, DefaultLimits.Keys),
		PendingDeliveries: cmp.Or(l.PendingDeliveries, DefaultLimits.PendingDeliveries),
		SSEStreams:        cmp.Or(l.SSEStreams, DefaultLimits.SSEStreams),
		Exports:           cmp.Or(l.Exports, DefaultLimits.Exports),
		EventBytes:        l.EventBytes,
		RecordingBytes:    l.RecordingBytes,
		Sources:           cmp.Or(l.Sources, DefaultLimits.Sources),
	}
}

// Caller is who makes a request, derived from its credential alone.
type Caller struct {
	Tenant    int64  // 0 for the platform
	CompanyID string // "" for the platform
	KeyID     string
	Name      string // of the key
	Role      Role
	PII       bool
	Strict    bool // the tenant's setting validation: "strict"
	IP        string

	// These are of a caller with the cookie of the console.
	Session     string    // id of the session; "" when the caller has a key or a token
	SignedInAt  time.Time // when the key was given last
	sessionHash [32]byte

	// These are of a caller with a token; KeyID is then the id of its app.
	Token     TokenKind // "" when the caller has a key
	AgentUUID string    // the agent of an agent token; one of both may be ""
	AgentID   string
	Until     time.Time // when the token, or the session, expires
}

// Fresh reports whether a caller has shown its key within FreshFor. A key itself is always
// fresh.
func (c Caller) Fresh(now time.Time) bool {
	return c.Session == "" || now.Before(c.SignedInAt.Add(FreshFor))
}
