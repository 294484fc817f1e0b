// Package api is our own API under /v1, apart from ingest: tenants, keys,
// subscriptions, events, deliveries. The route table of hub decides who may
// call what; a handler here only ever touches the caller's own tenant.
package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/recording"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/hub/source"
	"github.com/hookline/hookline/hub/tail"
	"github.com/hookline/hookline/subscriptions"
)

// API holds what the handlers need.
type API struct {
	Tenants TenantStore
	Keys    KeyStore
	Apps    AppStore
	Auth    *access.Authenticator
	Build   string       // commit that the program was built from
	Book    *access.Book // a change of a tenant or key is in it before it is answered
	Cursors Cursors
	Handles Handles

	Directory     DirectoryStore
	Recordings    *recording.Library
	Subscriptions SubscriptionStore
	Sources       SourceStore
	SourceBook    *source.Book       // a change of a source is in it before it is answered
	SourceHeld    func(source int64) // called when inputs of a source may be mapped; must not block
	Address       string             // where the hub listens, for URLs of sources without a PublicURL
	Search        search.Store
	Subjects      search.Subjects                  // codes of customers' numbers
	Facets        func(*event.Event) *event.Facets // what the filters of subscriptions look at
	Retries       RetryStore
	Explain       ExplainStore
	Jobs          JobStore
	Figures       search.Figures
	Audit         AuditStore
	Views         *Views
	Usage         UsageStore
	State         func(ctx context.Context) (*HubState, error)
	Tail          *tail.Feed
	Events        ingest.Store                           // takes test pushes
	Rules         func(tenant int64) subscriptions.Rules // what a tenant's subscriptions may be; Now is set here

	Send   Sender     // sends probes
	Probes ProbeStore // counts them

	// RateHolds reports whether the next push of a subscription waits for its rate; known is
	// false when another process sends its pushes.
	RateHolds func(sub int64) (holds, known bool)

	PublicURL string // base of links, without a slash at its end; "": links are paths

	Now  func() time.Time // default time.Now
	Log  *slog.Logger     // default slog.Default()
	Beat time.Duration    // between the comments of a stream; default 15 s

	// Kit has the boards, and the moment and the day that queries are about. Its boards, like
	// the reports and records, are answered from what is folded; Wait makes that all that was
	// accepted before, if time allows.
	Kit     dialect.Kit
	Watches *live.Watches // streams of boards
	Reports report.Store
	Records search.Records
	// DepartmentAgents returns the agentUUIDs of a department.
	DepartmentAgents func(tenant int64, department string) []string
	// ReportSettings returns the settings of a tenant that reports go by.
	ReportSettings func(tenant int64) (report.Settings, error)
	// WaitIndexed waits likewise until the index of numbers has what was accepted before.
	WaitIndexed func(ctx context.Context, tenant int64, atMost time.Duration) (search.Indexed, error)
	Wait        func(ctx context.Context, tenant int64, atMost time.Duration) (record.AsOf, error)

	Streams *fair.Slots[int64] // places of server-sent events; required
	Exports fair.Slots[int64]  // places of exports
	Pages   *fair.Slots[int64] // each page of an export takes one; nil: no bound

	// Near, if it is set, is called with how much of a limit a tenant uses after a change.
	Near func(tenant int64, limit string, used, most int64)

	// changes is held from the commit of a tenant or key until the book has it,
	// so that the book ends with what was committed last.
	changes sync.Mutex
}

// Errors that stores return. Every handler answers them alike.
var (
	ErrNotFound = errors.New("not found")                     // 404
	ErrExists   = errors.New("exists already")                // 409
	ErrVersion  = errors.New("changed in the meantime")       // 412
	ErrLimit    = errors.New("the tenant's limit is reached") // 429
)

func (a *API) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

func (a *API) log() *slog.Logger { return cmp.Or(a.Log, slog.Default()) }
