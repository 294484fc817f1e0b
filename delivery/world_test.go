package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

// world is a dispatcher with everything around it in memory and in a bubble of
// its own time: a store, a network of pipes, and a receiver.
type world struct {
	t      *testing.T
	d      *Dispatcher
	index  *subscriptions.Index
	began  time.Time
	end    func()
	answer func(p push, w http.ResponseWriter, r *http.Request)
	own    func(*Dispatcher)

	mu     sync.Mutex
	broken error   // what the store answers, when it has trouble
	lost   error   // what becomes of outcomes meanwhile
	open   int     // requests
	epochs []int64 // of the outcomes recorded
	// elsewhere is the subscription as another process changed it.
	elsewhere *subscriptions.Subscription
	logbook
}

// logbook is what became of a world.
type logbook struct {
	rows  []*stored // by event number
	hold  Hold
	holds []Hold // as they were written
	// releases and mark are those of the subscription's row.
	releases, mark int64
	pauses         []string
	reads          int // rows that the lane was given
	pushes         []push
	most           int // requests at once
}

type stored struct {
	Item
	state    State
	attempts []*Attempt
}

// push as the receiver saw it.
type push struct {
	after   time.Duration // since the world began
	seq     int
	attempt string
	late    bool
	open    int // requests open when it came, itself included
}

// newWorld with one subscription, made by change, and nothing pending.
func newWorld(t *testing.T, change ...func(*subscriptions.Subscription)) *world {
	w := &world{
		t: t, index: subscriptions.NewIndex(), began: time.Now(), answer: func(push, http.ResponseWriter, *http.Request) {},
		own: (*Dispatcher).OwnAll,
	}
	sub := testSub()
	sub.URL, sub.Version, sub.Ordering = "http://receiver.test/", 1, subscriptions.OrderingKey
	sub.Retry = map[event.Class]subscriptions.Retry{event.Live: {Schedule: []time.Duration{
		time.Second, 5 * time.Second, time.Minute,
	}}}
	sub.Events, sub.Types = []string{"*"}, ^event.Mask(0)
	for _, f := range change {
		f(sub)
	}
	w.index.Put(sub)
	return w
}

// run the dispatcher; it ends with stop, at the latest with the test.
func (w *world) run() *world {
	network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(w.receive)}
	sender := &Sender{}
	sender.common.Store(&http.Transport{DialContext: network.dial, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute})
	w.d = NewDispatcher(Config{Store: w, Sender: sender, Subs: w.index, Log: slog.New(slog.DiscardHandler)})
	w.own(w.d)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(network) }) // always returns an error, that it was closed
	var once sync.Once
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = w.d.Run(ctx, 5*time.Second) // never fails
	}()
	w.end = func() {
		once.Do(func() {
			cancel()
			<-ran
			sender.common.Load().CloseIdleConnections()
			_ = srv.Close() // its only error is that of the listener
			wg.Wait()
		})
	}
	w.t.Cleanup(w.end)
	return w
}

// pipes is a network whose time is that of the bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (w *world) receive(rw http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client left
	seq, _ := strconv.Atoi(r.Header.Get(HeaderSequence))
	w.mu.Lock()
	w.open++
	w.most = max(w.most, w.open)
	p := push{time.Since(w.began), seq, r.Header.Get(HeaderAttempt), r.Header.Get(HeaderLate) != "", w.open}
	w.pushes = append(w.pushes, p)
	w.mu.Unlock()
	w.answer(p, rw, r)
	w.mu.Lock()
	w.open--
	w.mu.Unlock()
}

// inFlight is how many requests the receivers hold.
func (w *world) inFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

// accept commits an event of an order key and nudges the lane, if it runs.
func (w *world) accept(keys ...int64) {
	for _, key := range keys {
		w.put(func(r *stored) { r.Key = key })
	}
	if w.d != nil {
		w.d.Nudge(1, 0)
	}
}

// put a pending row into the store without a word to anybody.
func (w *world) put(change func(*stored)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sub := w.index.Get(1)
	now := time.Now()
	r := &stored{Item: Item{
		ID: ID{Sub: 1, Seq: int64(len(w.rows) + 1)}, Type: event.CallRinging, AcceptedAt: now.UnixMilli(),
		GiveUpAt: sub.ActiveClock(now) + sub.GiveUpAfter[event.Live].Milliseconds(),
	}}
	change(r)
	w.rows = append(w.rows, r)
}

// change the subscription and tell its lane.
func (w *world) change(f func(*subscriptions.Subscription) *subscriptions.Subscription) {
	next := *f(w.index.Get(1))
	next.Version++
	w.index.Put(&next)
	w.d.Nudge(1, 0)
}

// resume as the store does: row and version change together.
func (w *world) resume() { w.release((*subscriptions.Subscription).Resume) }

// move the subscription to another URL, as a PATCH does.
func (w *world) move(to string) {
	w.release(func(s *subscriptions.Subscription, _ time.Time) *subscriptions.Subscription {
		c := *s
		c.URL = to
		return &c
	})
}

func (w *world) release(f func(*subscriptions.Subscription, time.Time) *subscriptions.Subscription) {
	w.mu.Lock()
	w.hold = Hold{}
	w.releases++
	w.mu.Unlock()
	now := time.Now()
	w.change(func(s *subscriptions.Subscription) *subscriptions.Subscription { return f(s.Release(now), now) })
}

// after some time, everything that could happen has happened.
func (w *world) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) seen() []push { return slices.Clone(w.log().pushes) }

// log so far, to be read while nothing moves.
func (w *world) log() logbook {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logbook
}

// sent lists what came as "event/attempt@seconds", with ! for late.
func (w *world) sent() (list []string) {
	for _, p := range w.seen() {
		s := fmt.Sprintf("%d/%s@%d", p.seq, p.attempt, int(p.after.Round(100*time.Millisecond).Seconds()))
		if p.late {
			s += "!"
		}
		list = append(list, s)
	}
	return list
}

// states of all rows, in order.
func (w *world) states() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rows {
		list = append(list, r.state.String())
	}
	return list
}

// dueAt returns when the i-th delivery is due.
func (w *world) dueAt(i int) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.UnixMilli(w.rows[i].DueAt)
}

func (w *world) trouble(read, record error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken, w.lost = read, record
}

// read is what all reads of the fake store have in common.
func (w *world) read(limit int, wanted func(*stored) bool) (items []*Item, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return nil, w.broken
	}
	for _, r := range w.rows {
		if r.state == Pending && r.Replay == 0 && wanted(r) && len(items) < limit {
			it := r.Item
			items = append(items, &it)
		}
	}
	w.reads += len(items)
	return items, nil
}

func (w *world) Pending(_ context.Context, _ int64, after ID, limit int) ([]*Item, error) {
	return w.read(limit, func(r *stored) bool { return less(after, r.ID) })
}

func (w *world) Waiting(_ context.Context, _ int64, limit int) ([]*Item, error) {
	return w.read(limit, func(r *stored) bool { return r.Tries > 0 })
}

func (w *world) OfKey(_ context.Context, _, key int64, after, upTo ID, limit int) ([]*Item, error) {
	return w.read(limit, func(r *stored) bool { return r.Key == key && less(after, r.ID) && !less(upTo, r.ID) })
}

// Replays reads the pending runs of replays.
func (w *world) Replays(_ context.Context, _ int64, limit int) (items []*Item, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rows {
		if r.state == Pending && r.Replay > 0 && len(items) < limit {
			it := r.Item
			items = append(items, &it)
		}
	}
	return items, w.broken
}

func (w *world) Replaying(context.Context, []int) (subs []int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.ContainsFunc(w.rows, func(r *stored) bool { return r.state == Pending && r.Replay > 0 }) {
		subs = []int64{1}
	}
	return subs, w.broken
}

// Earlier finds what became visible late.
func (w *world) Earlier(_ context.Context, _ int64, keys []int64, upTo ID, _ int) ([]*Item, error) {
	return w.read(1000, func(r *stored) bool { return slices.Contains(keys, r.Key) && !less(upTo, r.ID) })
}

func (w *world) Load(_ context.Context, items []*Item, _ event.Masking) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range items {
		it.Event = &event.Event{Tenant: 1, CompanyID: "demo", Seq: it.Seq, ID: strconv.FormatInt(it.Seq, 10), Type: it.Type}
		it.Body = []byte(`{}`)
	}
	return w.broken
}

// errStuck has outcomes wait for ever, as on a disk that stays full.
var errStuck = errors.New("stuck")

// Record commits at once, on a goroutine as the writer's.
func (w *world) Record(o *Outcome) {
	go func() {
		w.mu.Lock()
		err := w.lost
		if errors.Is(err, errStuck) {
			w.mu.Unlock()
			return
		}
		w.epochs = append(w.epochs, o.Epoch)
		if r := w.rows[o.Item.Seq-1]; err == nil && r.state == Pending {
			r.state, r.DueAt, r.AsideAt, r.Late = o.Verdict.State, o.Verdict.DueAt, o.Verdict.AsideAt, o.Item.Late
			if o.Attempt != nil {
				r.Tries++
				r.attempts = append(r.attempts, o.Attempt)
			}
		}
		w.mu.Unlock()
		o.Done(err)
	}()
}

func (w *world) FindHold(context.Context, int64) (Hold, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hold, w.broken
}

func (w *world) SetHold(_ context.Context, _, _, releases int64, h Hold) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil || releases != w.releases {
		return w.broken
	}
	w.hold, w.holds = h, append(w.holds, h)
	if h.RetryAt > 0 {
		st := w.index.Get(1).StandStill(time.Now(), time.UnixMilli(h.RetryAt)).Standstill
		w.mark++
		st.Mark = w.mark
		w.index.SetStandstill(1, st)
	}
	return nil
}

func (w *world) Pause(_ context.Context, _, releases int64, reason string) error {
	w.mu.Lock()
	if releases != w.releases {
		w.mu.Unlock()
		return nil
	}
	w.pauses = append(w.pauses, reason)
	w.mu.Unlock()
	w.change(func(s *subscriptions.Subscription) *subscriptions.Subscription { return s.Pause(reason, time.Now()) })
	return nil
}

func (w *world) CatchUp(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.elsewhere != nil {
		w.index.Put(w.elsewhere)
	}
	return w.broken
}

func (w *world) BacklogOf(context.Context, []int) (map[int64]int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, r := range w.rows {
		if r.state == Pending && r.Replay == 0 {
			n++
		}
	}
	if n == 0 {
		return nil, w.broken
	}
	return map[int64]int{1: n}, w.broken
}

// always answers every push with a status.
func always(status int) func(push, http.ResponseWriter, *http.Request) {
	return func(_ push, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func hang(_ push, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func unordered(s *subscriptions.Subscription) { s.Ordering = subscriptions.OrderingNone }

func schedule(steps ...time.Duration) func(*subscriptions.Subscription) {
	return func(s *subscriptions.Subscription) {
		s.Retry = map[event.Class]subscriptions.Retry{event.Live: {Schedule: steps}}
	}
}
