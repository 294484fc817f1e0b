package hub

import (
	"cmp"
	"math"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/fair"
)

// Bounds of what all requests share. docs/operations.md lists them.
const (
	bodyBytes     = 64 << 20 // bodies of tenants' requests in memory
	strangerBytes = 4 << 20  // bodies of callers of whom nobody knows yet who they are
	mostBody      = 1 << 20  // bytes of a body that is read before the work begins; handlers have bounds of their own
	mostDirectory = 8 << 20  // of PUT /v1/directory

	queriesEach  = 4  // requests of a tenant that are worked on at a time, at most; fewer with few processors
	queriesTotal = 16 // of all tenants; a tenant has at most a fourth of the 16 connections that read from PostgreSQL
	queriesWait  = 64 // of a tenant that wait for their turn
	queryPatient = 10 * time.Second
	pagesRest    = 3 // pages of exports, which nobody waits for, get a quarter beside others

	answersEach  = 8 // answers of more than 64 KiB of a tenant that are being taken
	answersTotal = 32

	streamsTotal = 4096 // server-sent events, of all tenants; limits.sseStreams of one
	exportsTotal = 16   // of all tenants; limits.exports of one

	spareFiles = 64 // open files for the store and the rest, beside connections in and out
)

// bounds are what the requests of all tenants share, each with a part for each.
type bounds struct {
	bodies    fair.Budget[int64]
	strangers fair.Budget[netip.Addr]
	queries   fair.Slots[int64] // requests that are worked on
	reports   fair.Slots[int64] // those that look at much
	pages     fair.Slots[int64] // of exports
	parsers   fair.Slots[int64] // large bodies of events that are taken apart
	answers   fair.Slots[int64] // large answers on their way
	streams   fair.Slots[int64] // server-sent events

	lately fair.Lately[int64] // tenants that asked or sent something
}

func newBounds() *bounds {
	// A question keeps a processor busy. One tenant's must leave some to others.
	processors := runtime.GOMAXPROCS(0)
	b := &bounds{
		bodies:    fair.Budget[int64]{Total: bodyBytes},
		strangers: fair.Budget[netip.Addr]{Total: strangerBytes},
		queries: fair.Slots[int64]{
			What: "requests", Total: queriesTotal, Each: min(max(2, processors), queriesEach),
			Waiting: queriesWait, Patience: queryPatient,
		},
		reports: fair.Slots[int64]{
			What: "reports", Total: max(2, processors), Each: max(1, min(processors/2, queriesEach)),
			Waiting: queriesWait, Patience: queryPatient,
		},
		parsers: fair.Slots[int64]{
			What: "large requests", Total: max(2, processors), Each: max(1, min(processors/2, queriesEach)),
			Waiting: queriesWait, Patience: queryPatient,
		},
		streams: fair.Slots[int64]{What: "streams", Total: streamsTotal},
		answers: fair.Slots[int64]{What: "large answers", Total: answersTotal, Each: answersEach},
	}
	b.pages = fair.Slots[int64]{
		What: "pages of exports", Total: max(2, processors), Each: max(1, min(processors/2, queriesEach)),
		Waiting: queriesWait, Patience: queryPatient,
	}

	// Events, pushes and folds have no such places, and need the processors, too.
	b.pages.Rest = &fair.Rest[int64]{Times: pagesRest, Beside: &b.lately}
	return b
}

// gate is the outermost handler of a listener.
func (b *bounds) gate(address func(*http.Request) netip.Addr) *fair.Gate {
	return &fair.Gate{Bodies: &b.bodies, Strangers: &b.strangers, Address: address, Answers: &b.answers}
}

// work is what a request makes the hub do.
type work int

const (
	quick   work = iota // a question, or a change
	wide                // a question about very much
	ongoing             // goes on as long as the client wants; counted where it is begun
	intake              // events, which ingest bounds
	sound               // recordings, which their library bounds
)

// workOf a request, by its path. What is not named here is quick.
func workOf(r *http.Request) work {
	path := r.URL.Path
	switch {
	case r.Method == http.MethodPost && (path == "/v1/events" || strings.HasPrefix(path, "/v1/events/")):
		return intake
	case r.Method != http.MethodDelete && strings.HasPrefix(path, "/v1/recordings/"),
		strings.Contains(path, "/cc-audios/recordings/"):
		return sound
	case path == "/v1/tail", strings.HasPrefix(path, "/v1/exports/"), strings.HasSuffix(path, "/_watch/agents-metrics"):
		return ongoing
	case strings.HasPrefix(path, "/v1/boards/") && api.WantsEvents(r):
		return ongoing
	case path == "/v1/stats", path == "/v1/reports", strings.HasSuffix(path, "-table/_search"):
		return wide
	}
	return quick
}

// admit lets a request of c begin its work, for which it may wait. The error is a
// *fair.Full, or that of the request's context.
func (b *bounds) admit(r *http.Request, c access.Caller) error {
	b.lately.Note(c.Tenant)
	x := fair.Of(r.Context())
	what := workOf(r)
	if what == intake || what == sound {
		x.Stream()
	}
	if err := x.Know(c.Tenant); err != nil {
		return err
	}
	switch what {
	case quick:
		return x.Admit(r.Context(), &b.queries, bodyOf(r))
	case wide:
		return x.Admit(r.Context(), &b.reports, mostBody)
	case ongoing, intake, sound:
	}
	return nil
}

// bodyOf returns how many bytes of a request's body are read before its work begins.
func bodyOf(r *http.Request) int64 {
	if r.URL.Path == "/v1/directory" {
		return mostDirectory
	}
	return mostBody
}

// connections bounds those that clients open, by the files that may be open.
func connections(s *config.Settings) *fair.Connections {
	files := config.OpenFiles()
	total := max(16, files-config.MaxRequests()-spareFiles)
	each := min(cmp.Or(s.ConnectionsPerAddress, math.MaxInt), max(8, total/2))
	return &fair.Connections{Total: total, Each: each, Free: s.Trusted}
}
