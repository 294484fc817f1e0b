// Package hub assembles the service. hub.go is its lifecycle and the one list of
// what is plugged into what, routes.go every URL.
package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/console"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/openapi"
	"github.com/hookline/hookline/hub/operate"
	"github.com/hookline/hookline/hub/peers"
	"github.com/hookline/hookline/hub/rabbit"
	"github.com/hookline/hookline/hub/recording"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/hub/tail"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
	"github.com/hookline/hookline/subscriptions"
)

// Hub is a whole push hub. New opens it, Run serves, Close frees it.
type Hub struct {
	cfg     *config.Settings
	log     *slog.Logger
	process string // name of this process
	started time.Time
	db      *storage.DB
	folds   *folds.Folds
	boards  *live.Boards
	book    *access.Book
	lanes   *delivery.Dispatcher
	sender  *delivery.Sender
	pipe    *peers.Pipeline
	notices *storage.Notices // between processes, by PostgreSQL; nil on the embedded store
	broker  *rabbit.Broker   // nil without HOOKLINE_AMQP_URL
	nudges  *rabbit.Nudges   // between processes, by the broker; nil if notices or broker is
	refresh *peers.Refresh
	metrics *metrics
	ops     *operations
	tail    tail.Feed
	bounds  *bounds
	watches live.Watches
	ingest  *ingest.Handler
	api     *openapi.Document
	vendors map[string]*openapi.Document
	blobs   *blob.Bucket
	records *recording.Library
	listen  net.Listener
	scrape  net.Listener // of /metrics; nil if that is on listen too
	tls     *tls.Config  // of listen; nil for plain http
	self    *delivery.Self
	first   *FirstKeys
	sources sources
	views   *api.Views
}

// New opens the store and the listeners. Nothing is served before Run.
func New(ctx context.Context, cfg config.Config, log *slog.Logger) (*Hub, error) {
	s, err := cfg.Read()
	if err != nil {
		return nil, err
	}
	h := &Hub{cfg: s, log: log, book: &access.Book{}, process: config.ProcessName(), started: time.Now(), bounds: newBounds()}
	if err := h.open(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// open opens the store, the listeners and the blob store, and plugs everything
// together.
func (h *Hub) open(ctx context.Context) (err error) {
	if h.api, err = openapi.Load(); err != nil {
		return err
	}
	if h.vendors, err = openapi.LoadVendors(); err != nil {
		return err
	}
	h.metrics = newMetrics(h.log)
	h.ops = newOperations(h.log)
	if h.pipe, err = peers.NewPipeline(h.log); err != nil {
		return err
	}

	h.db, err = storage.Open(ctx, storage.Config{
		Dir: h.cfg.Data, URL: h.cfg.DatabaseURL, Process: h.process, Box: h.cfg.Box, MaxPages: h.cfg.MaxPages, Log: h.log,
		Nudge: h.pipe.Nudge, Committed: h.metrics.committed, Changed: h.ops.Changed, Acted: h.pipe.Changed, Stored: h.stored,
	})
	if err != nil {
		return err
	}
	// If several processes start on an empty store, one of them makes the first keys.
	if err := h.db.Alone(ctx, func() error { return h.bootstrap(ctx) }); err != nil {
		return err
	}

	if err := h.bind(ctx); err != nil {
		return err
	}
	if err := h.book.SyncApps(ctx, h.db.LoadApps); err != nil {
		return err
	}
	if err := h.sources.book.Sync(ctx, h.db.LoadSources); err != nil {
		return err
	}
	if h.blobs, err = openBlobs(ctx, h.cfg); err != nil {
		return err
	}

	h.wire()
	return h.joinOthers()
}

// joinOthers connects this process with the others that serve the same store.
func (h *Hub) joinOthers() (err error) {
	if !h.db.Shared() {
		h.pipe.Connect(h.lanes, nil)
		h.lanes.OwnAll()
		h.sources.folds.OwnAll()
		return nil
	}

	if h.notices, err = h.db.Notices(); err != nil {
		return err
	}
	remote := peers.Transport(h.notices)
	if h.broker != nil {
		h.nudges = rabbit.NewNudges(h.broker)
		remote = peers.Spare{First: h.nudges, Second: h.notices}
	}
	h.pipe.Connect(h.lanes, remote)
	h.pipe.Share(&h.watches, &h.tail)
	return nil
}

// wire is the one list of what is plugged into what.
func (h *Hub) wire() {
	h.ops.store = h.db
	h.bounds.streams.Given = func(tenant int64, taken, share int) { h.near(tenant, "sseStreams", int64(taken), int64(share)) }
	h.views = &api.Views{Store: h.db, Log: h.log}
	h.folds = storage.NewFolds(h.db)
	h.boards = &live.Boards{Facts: h.folds, Directory: h.db.Directory().Of, Settings: h.boardSettings}

	// Out: recordings that are fetched, and pushes.
	h.sender = &delivery.Sender{Allow: h.cfg.Allow, TenantAllow: h.tenantAllow, Self: h.self}
	h.records = h.library()
	h.lanes = delivery.NewDispatcher(delivery.Config{
		Store: h.db, Sender: h.sender, Subs: h.db.Index(), Requests: config.MaxRequests(),
		Observe: h.observe, Log: h.log,
	})

	// In: events by HTTP, and by the broker.
	h.ingest = &ingest.Handler{
		Store: h.db, Rejected: h.db.Rejected, Metrics: ingest.NewMetrics(h.metrics.registry),
		Bodies: &h.bounds.bodies, Parsers: &h.bounds.parsers,
		Limit: func(tenant int64) int { return h.limits(tenant).EventsPerSecond },
		Full:  h.backlogged,
		Room:  h.roomForEvents,
		Near: func(tenant int64, perSecond, used int) {
			h.near(tenant, "eventsPerSecond", int64(used), int64(perSecond))
		},
	}
	if h.cfg.AMQPURL != "" {
		h.broker = &rabbit.Broker{URL: h.cfg.AMQPURL, Process: h.process, Metrics: h.metrics.rabbit, Log: h.log}
	}

	// What streams watch, and what other processes change.
	h.watches = live.Watches{
		Log: h.log, Streams: &h.bounds.streams, Opened: h.pipe.Opened,
		Limit: func(tenant int64) int { return h.limits(tenant).Effective().SSEStreams },
	}
	h.wireSources()
	h.refresh = &peers.Refresh{Store: h.db, Book: h.book, Sources: &h.sources.book, Changes: h.pipe.Changes(), Log: h.log}
	h.metrics.addGauges(h.db, h.lanes)
	h.metrics.addFoldGauges(h.folds)
}

// feed returns what takes events from the broker.
func (h *Hub) feed() *rabbit.Feed {
	m := &ingest.Messages{
		Store: h.db, Rejected: h.db.Rejected, Tenants: h.book, FromUser: h.cfg.AMQPTenant == "user-id", Full: h.ingest.Full,
		Room: h.ingest.Room, Rate: h.ingest.Rate,
		Metrics: h.ingest.Metrics, Log: h.log,
	}
	if h.db.Shared() {
		m.Refresh = h.refresh.Read
	}
	return &rabbit.Feed{Broker: h.broker, Taker: m}
}

// stored is called after each commit for every tenant that has new events.
func (h *Hub) stored(tenant int64) {
	h.watches.Changed(tenant)
	h.pipe.Stored(tenant)
	h.roomForEvents(tenant, 0) // which warns the tenant if there is little
}

// observe is called for every outcome after its commit.
func (h *Hub) observe(r delivery.Report) {
	h.metrics.observe(r)
	h.ops.Ended(r)
	h.tail.Observe(r)
	h.pipe.Attempted(r)
}

// routes returns the handler of all URLs.
func (h *Hub) routes() http.Handler {
	auth := &access.Authenticator{
		Book: h.book, Trusted: h.cfg.Trusted,
		Tokens:   &access.Tokens{Key: h.cfg.Box.Subkey(signing.LabelToken), Book: h.book, Signs: h.db},
		OAuth:    &access.OAuth1{Book: h.book, Signs: h.db, PublicURL: h.cfg.PublicBase()},
		Sessions: h.sessions(),
	}

	r := &Routes{
		Auth: auth, Admit: h.bounds.admit,
		API: &api.API{
			Tenants: h.db, Keys: h.db, Subscriptions: h.db, Search: h.db, Retries: h.db, Jobs: h.db, Figures: h.db,
			Explain: h.db, RateHolds: h.lanes.RateHolds, Send: h.sender.Send, Probes: h.db,
			Events: h.db, Audit: h.db, Views: h.views, Usage: h.db, State: h.state,
			Sources: h.db, SourceBook: &h.sources.book, SourceHeld: h.sources.folds.Wake, Address: h.Addr(),
			Apps: h.db, Directory: h.db, Recordings: h.records,
			Kit: h.nativeKit(), Watches: &h.watches, Wait: h.folds.Wait, WaitIndexed: h.folds.WaitIndexed,
			Records: h.folds.AsIs(), DepartmentAgents: h.departmentAgents,
			Reports: h.folds.AsIs(), ReportSettings: h.reportSettings,
			Auth: auth, Build: operate.Version().Commit, Book: h.book, Tail: &h.tail, Streams: &h.bounds.streams,
			Pages:   &h.bounds.pages,
			Exports: h.exports(), Near: h.near, Rules: h.rules, Facets: h.db.Index().Facets,
			Cursors:   api.Cursors{Key: h.cfg.Box.Subkey(signing.LabelCursor)},
			Subjects:  search.Subjects{Key: h.cfg.Box.Subkey(signing.LabelSubject)},
			Handles:   api.Handles{Key: h.cfg.Box.Subkey(signing.LabelHandle)},
			PublicURL: h.cfg.PublicBase(), Log: h.log,
		},
		Ingest:  h.ingest.Serve,
		Inbox:   h.sources.inbox,
		Healthz: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "alive") }),
		Readyz:  http.HandlerFunc(h.ready),
		Console: console.Handler(),
		OpenAPI: http.HandlerFunc(h.api.ServeJSON),
		Docs:    http.HandlerFunc(h.api.ServePage),
		Vendors: h.vendors,
		Log:     h.log,
	}

	r.Dialects = h.dialects(auth, r.API)
	if h.scrape == nil {
		r.Metrics = h.scrapeHandler()
	}
	return r.Handler()
}

// sessions returns those of the console.
func (h *Hub) sessions() *access.Sessions {
	return &access.Sessions{Store: h.db, Book: h.book, Trusted: h.cfg.Trusted}
}

// SignInLink returns a link that signs whoever opens it in to the console once, as the owner
// of the demo tenant, within ten minutes. It is "" unless the hub listens on loopback and has
// that tenant.
func (h *Hub) SignInLink(ctx context.Context) (string, error) {
	key := h.book.FirstOwner(DemoCompany)
	if key == "" || !isLoopback(h.listen.Addr()) {
		return "", nil
	}
	code, err := h.sessions().NewCode(ctx, key)
	if err != nil {
		return "", fmt.Errorf("sign-in link: %w", err)
	}
	scheme := "http"
	if h.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + h.Addr() + "/console/#" + code, nil
}

func (h *Hub) scrapeHandler() http.Handler {
	return promhttp.HandlerFor(h.metrics.registry, promhttp.HandlerOpts{})
}

// rules returns the rules by which a tenant's subscriptions are checked.
func (h *Hub) rules(tenant int64) subscriptions.Rules {
	guard := h.guard(tenant)
	allowECB := false
	if t := h.book.Tenant(tenant); t != nil {
		allowECB, _ = t.Settings["allowECB"].(bool)
	}
	return subscriptions.Rules{
		RequireHTTPS: h.cfg.RequireHTTPS, AllowECB: allowECB,
		CheckURL: func(u *url.URL) error { return guard.CheckURL(u) },
	}
}

// tenantAllow returns the private networks that the pushes of a tenant may reach.
func (h *Hub) tenantAllow(tenant int64) []netip.Prefix {
	t := h.book.Tenant(tenant)
	if t == nil || len(t.AllowNetworks) == 0 {
		return nil
	}
	nets, err := delivery.ParseNetworks(t.AllowNetworks)
	if err != nil { // cannot happen: they were checked when they were set
		h.log.Error("networks of tenant", "tenant", t.CompanyID, "err", err)
		return nil
	}
	return nets
}

// limits returns the limits of a tenant.
func (h *Hub) limits(tenant int64) access.Limits {
	if t := h.book.Tenant(tenant); t != nil {
		return t.Limits
	}
	return access.Limits{}
}

// near warns a tenant that uses most of a limit.
func (h *Hub) near(tenant int64, limit string, used, most int64) {
	if t := h.book.Tenant(tenant); t != nil {
		h.ops.Near(tenant, t.CompanyID, limit, used, most)
	}
}

// backlogged reports whether a tenant has as many pending deliveries as it may.
func (h *Hub) backlogged(tenant int64) bool {
	pending := h.db.PendingOf(tenant)
	most := h.limits(tenant).Effective().PendingDeliveries
	h.near(tenant, "pendingDeliveries", int64(pending), int64(most))
	return pending >= most
}

// roomForEvents reports whether the stored events of a tenant may take n bytes more.
func (h *Hub) roomForEvents(tenant, n int64) bool {
	most := int64(h.limits(tenant).EventBytes)
	if most == 0 {
		return true
	}
	bytes := h.db.EventBytes(tenant)
	h.near(tenant, "eventBytes", bytes, most)
	return bytes+n <= most
}

// exports returns the places of exports.
func (h *Hub) exports() fair.Slots[int64] {
	return fair.Slots[int64]{
		What: "exports", Total: exportsTotal,
		Given: func(tenant int64, taken, share int) { h.near(tenant, "exports", int64(taken), int64(share)) },
	}
}

// ready answers whether the hub can do its work: whether the store answers and takes
// more.
func (h *Hub) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := h.db.Ping(ctx); err != nil {
		h.log.Error("not ready", "err", err)
		say(w, http.StatusServiceUnavailable, "the store does not answer, or is full")
		return
	}
	say(w, http.StatusOK, "ready"+h.figuresBehind(ctx))
}

// lateFigures is how old an event may be that is not in the figures yet, before health says
// so.
const lateFigures = 10 * time.Second

// figuresBehind returns what health says about folds that are late; "" if none is. The hub is
// ready all the same: it takes and pushes events.
func (h *Hub) figuresBehind(ctx context.Context) string {
	lags, err := h.folds.Lags(ctx)
	if err != nil {
		h.log.Warn("lag of folds", "err", err)
		return ""
	}

	var late []string
	for _, l := range lags {
		if age := time.Since(time.UnixMilli(l.Oldest)); l.Oldest > 0 && age >= lateFigures {
			late = append(late, fmt.Sprintf("%s by %d s", l.Fold, int(age.Seconds())))
		}
	}
	if len(late) == 0 {
		return ""
	}
	return "; figures are behind: " + strings.Join(late, ", ")
}

// say answers with a line of text.
func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // fails if the caller went away
}

// bind opens the listeners.
func (h *Hub) bind(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if h.listen, err = lc.Listen(ctx, "tcp", h.cfg.Addr); err != nil {
		return fmt.Errorf("HOOKLINE_ADDR: %w", err)
	}
	if h.cfg.TestClock && !isLoopback(h.listen.Addr()) {
		return errors.New("HOOKLINE_TEST_CLOCK is for tests: it needs HOOKLINE_ADDR on loopback")
	}

	// Where others than this machine may ask, also through a proxy, /metrics is on a
	// listener of its own, because it asks for no key.
	addr := h.cfg.MetricsAddr
	reachable := !isLoopback(h.listen.Addr()) || h.cfg.Public != nil || len(h.cfg.Trusted) > 0
	if addr == "" && reachable {
		addr = "127.0.0.1:9090"
	}
	if addr != "" && addr != h.cfg.Addr {
		if h.scrape, err = lc.Listen(ctx, "tcp", addr); err != nil {
			return fmt.Errorf("HOOKLINE_METRICS_ADDR: %w", err)
		}
	}
	if h.tls, err = serverTLS(h.cfg, h.log); err != nil {
		return err
	}

	// Pushes must not go to these listeners.
	h.self = &delivery.Self{Public: h.cfg.Public}
	for _, l := range []net.Listener{h.listen, h.scrape} {
		if l == nil {
			continue
		}
		if t, ok := l.Addr().(*net.TCPAddr); ok {
			h.self.Listeners = append(h.self.Listeners, t.AddrPort())
		}
	}
	return nil
}

func isLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// Addrs returns the addresses of all listeners: that of Addr, and that of /metrics if it has
// one of its own.
func (h *Hub) Addrs() []string {
	addrs := []string{h.Addr()}
	if h.scrape != nil {
		addrs = append(addrs, h.scrape.Addr().String())
	}
	return addrs
}

// Addr returns the address where the hub listens.
func (h *Hub) Addr() string { return h.listen.Addr().String() }

// Run serves until ctx ends, then stops in order: intake, attempts in flight,
// their outcomes, the nudges. It returns nil after a clean stop.
func (h *Hub) Run(ctx context.Context) error {
	if !isLoopback(h.listen.Addr()) && h.tls == nil {
		h.log.Warn("SERVING PLAIN HTTP BEYOND LOOPBACK: keys and phone numbers travel readable; "+
			"set HOOKLINE_TLS_CERT and HOOKLINE_TLS_KEY, or put a TLS proxy in front", "addr", h.Addr())
	}
	if len(h.cfg.Allow) > 0 {
		h.log.Warn("pushes may reach private addresses", "networks", fmt.Sprint(h.cfg.Allow))
	}

	// Intake ends with ctx. Lanes have a context of their own and end after intake;
	// nudges and ownership end after lanes.
	lanesCtx, stopLanes := context.WithCancel(context.Background())
	pipeCtx, stopPipe := context.WithCancel(context.Background())
	defer stopLanes()
	defer stopPipe()

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.pipe.Run(pipeCtx) })
	g.Go(func() error { return h.ops.Run(pipeCtx) })
	g.Go(func() error { return h.views.Run(pipeCtx) })
	g.Go(func() error { return h.db.RunCounts(pipeCtx) })
	g.Go(func() error { return h.sources.news.Run(pipeCtx) })
	if h.db.Shared() {
		g.Go(func() error { return peers.NewOwnership(h.db, owners{h.lanes, h.sources.folds}, h.log).Run(pipeCtx) })
		g.Go(func() error { return h.refresh.Run(gctx) })
		g.Go(func() error { return peers.FollowDirectory(gctx, h.db, h.log) })
	}
	g.Go(func() error {
		defer stopPipe()
		return h.lanes.Run(lanesCtx, h.cfg.ShutdownTimeout/2)
	})
	g.Go(func() error {
		defer stopLanes()
		return h.serve(gctx)
	})
	if h.broker != nil {
		g.Go(func() error { return h.feed().Run(gctx) })
	}

	// What goes on beside, and may end at once.
	g.Go(func() error { return h.db.RunJobs(gctx) })
	g.Go(func() error { return h.db.RunReplays(gctx) })
	g.Go(func() error { return h.db.RunRetention(gctx) })
	g.Go(func() error { return h.db.RunUpkeep(gctx) })
	g.Go(func() error { return h.folds.Run(gctx) })
	g.Go(func() error { return h.folds.RunBlocks(gctx) })
	g.Go(func() error { return h.sources.folds.Run(gctx) })
	g.Go(func() error { return h.watches.Run(gctx) })
	g.Go(func() error { return h.records.Run(gctx) })
	g.Go(func() error { return h.housekeeping(gctx) })

	err := g.Wait()
	h.sender.CloseIdle()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// serve answers requests until ctx ends. Then it lets the requests under way finish.
func (h *Hub) serve(ctx context.Context) error {
	open := connections(h.cfg) // of both listeners together
	servers := map[*http.Server]net.Listener{h.server(h.routes(), open): h.listen}
	if h.scrape != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", h.scrapeHandler())
		servers[h.server(mux, open)] = h.scrape
	}

	g, gctx := errgroup.WithContext(ctx)
	for srv, l := range servers {
		g.Go(func() error {
			var err error
			if h.tls != nil && l == h.listen {
				srv.TLSConfig = h.tls
				err = srv.ServeTLS(l, "", "")
			} else {
				err = srv.Serve(l)
			}
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return fmt.Errorf("serve: %w", err)
		})
		g.Go(func() error {
			<-gctx.Done()
			// Streams would never end by themselves.
			h.tail.Close()
			h.watches.Close()
			stop, cancel := context.WithTimeout(context.Background(), h.cfg.ShutdownTimeout/2)
			defer cancel()
			if err := srv.Shutdown(stop); err != nil {
				h.log.Warn("requests cut off at shutdown", "err", err)
				return srv.Close()
			}
			return nil
		})
	}

	h.log.Info("serving", "addr", h.Addr())
	return g.Wait()
}

// server returns the server of a listener. It bounds what no handler sees, such as
// headers and the messages of HTTP/2. The gate bounds everything else.
func (h *Hub) server(handler http.Handler, open *fair.Connections) *http.Server {
	address := func(r *http.Request) netip.Addr { return access.ClientIP(r, h.cfg.Trusted) }
	return &http.Server{
		Handler:           h.bounds.gate(address).Wrap(handler),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ConnState:         open.State,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          64,
			MaxReceiveBufferPerConnection: 256 << 10, MaxReceiveBufferPerStream: 64 << 10,
			SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second, WriteByteTimeout: 10 * time.Second,
		},
		// net/http would read the body of OPTIONS * without a deadline.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
}

// housekeeping writes what may be written late: when keys were last used.
func (h *Hub) housekeeping(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		write, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		if err := h.book.Flush(write, h.db); err != nil {
			h.log.Error("note the last use of keys", "err", err)
		}
		cancel()
	}
	return nil
}

// Close frees what New opened. Run must have ended.
func (h *Hub) Close() error {
	var errs []error
	for _, l := range []net.Listener{h.listen, h.scrape} {
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if h.nudges != nil {
		errs = append(errs, h.nudges.Close())
	}
	if h.notices != nil {
		errs = append(errs, h.notices.Close())
	}
	if h.db != nil {
		errs = append(errs, h.db.Close())
	}
	if h.blobs != nil {
		errs = append(errs, h.blobs.Close())
	}
	return errors.Join(errs...)
}

// Rebuild makes folds again from the events whose bodies are still kept: those of
// the names, or all. Queries of a tenant wait until its folds are done.
func (h *Hub) Rebuild(ctx context.Context, names ...string) error {
	return h.folds.RebuildAll(ctx, names...)
}
