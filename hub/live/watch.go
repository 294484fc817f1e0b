package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/wake"
)

// Page is what a view shows at one time.
type Page interface {
	// Same reports whether another page of the same view shows the same.
	Same(o Page) bool
	// Full returns the message for a stream that has nothing yet.
	Full(s Stamp) ([]byte, error)
	// Since returns the message for a stream that has an earlier page; nil: there is
	// nothing to send.
	Since(was Page, s Stamp) ([]byte, error)
}

// Stamp of a message.
type Stamp struct {
	ID int64 // grows from message to message, also over restarts
	At int64 // Unix ms
}

// View is what somebody wants to watch. Views of a tenant with the same Key and Delay are
// one view: its pages and messages are made once for all streams.
type View struct {
	Tenant int64
	Key    string
	Delay  time.Duration // at least, between two messages to one stream
	// Show makes the page of a moment, Unix ms, from all that was accepted before the call.
	// One goroutine calls it at a time.
	Show func(ctx context.Context, now int64) (Page, error)
}

// Why a stream has ended, beside errors of View.Show.
var (
	ErrSlow     = errors.New("the listener is too slow")
	ErrReplaced = errors.New("another stream has its key")
	ErrStopping = errors.New("the hub stops")
)

const (
	streamBuffer = 16 // messages that wait for a listener; one more, and its stream ends

	// A view is looked at when events of its tenant say so, and this often: days end, calls
	// go stale, the directory changes, and what other processes say may be lost.
	watchEvery = time.Second

	// A pause follows each round of a tenant, as many times as long as the round was: so
	// watching takes a fifth of a processor at most.
	roundLeast = 50 * time.Millisecond
	roundShare = 4
	roundMost  = time.Second // a round that takes long waits for the store

	showTime   = 10 * time.Second // for one View.Show
	retryAfter = time.Second      // a view that could not be shown is tried again
)

// Full is the error of a tenant that has as many streams open as it may.
type Full int

func (f Full) Error() string {
	return fmt.Sprintf("the tenant has %d streams open, which is its limit", int(f))
}

// Watches keeps streams of messages in step with what views show: a stream gets the whole
// page first, then what changes. Its work is done by Run.
//
// Each tenant that is watched has a goroutine, which works in rounds. A round makes the
// pages of the views that may have changed and whose delay has passed, and sends each
// stream what is between the page it has and the new one. Streams that have the same page
// get the same bytes.
type Watches struct {
	Log     *slog.Logger           // default slog.Default()
	Streams *fair.Slots[int64]     // places of streams
	Limit   func(tenant int64) int // of streams
	// Opened is called for every stream that has a key, so that other processes can be told
	// (Replace). It must not block; nil: nobody is told.
	Opened func(tenant int64, key string, at time.Time)

	mu      sync.Mutex
	tenants map[int64]*tenantWatch
	keyed   map[streamKey]*Stream
	starts  []*tenantWatch // those whose goroutine Run has to start
	wake    chan struct{}  // for Run; holds one
	closed  bool
}

type streamKey struct {
	tenant int64
	key    string
}

// Stream is the messages to one listener.
type Stream struct {
	of     *Watches
	watch  *tenantWatch
	view   *view
	key    streamKey
	opened time.Time

	// Used by the tenant's goroutine only.
	first Page      // what it is sent first; nil: what the view shows then
	sent  Page      // the page that it has; nil: it has none yet
	next  time.Time // it gets no more before

	// Guarded by Watches.mu.
	ch     chan []byte
	closed bool
	err    error
}

// tenantWatch is what is watched of one tenant.
type tenantWatch struct {
	of     *Watches
	tenant int64
	wake   chan struct{} // holds one

	// Guarded by Watches.mu.
	streams int
	views   map[viewKey]*view
	changed bool

	lastID int64 // of Stamp
}

type viewKey struct {
	key   string
	delay time.Duration
}

// view is a View that is watched.
type view struct {
	View

	streams map[*Stream]struct{} // guarded by Watches.mu
	joined  bool                 // a stream came since the last round; guarded by Watches.mu

	// Used by the tenant's goroutine only.
	page   Page
	greets bool      // some streams have nothing yet
	stale  bool      // the page may have changed
	owing  bool      // some streams lack the page, as their delay has not passed
	next   time.Time // streams get no more before
}

// Open starts a stream. Its first message shows the page first, or, if that is nil, what the
// view shows then. The stream that the tenant has under the same key ends, and gives its
// place to this one; under "" there are as many as the limit allows. The error is Full or
// ErrStopping. Close the stream.
func (w *Watches) Open(v View, key string, first Page) (*Stream, error) {
	s := &Stream{of: w, key: streamKey{v.Tenant, key}, opened: time.Now(), first: first, ch: make(chan []byte, streamBuffer)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, ErrStopping
	}

	if before := w.keyed[s.key]; before != nil {
		before.end(ErrReplaced)
	}
	limit := w.Limit(v.Tenant)
	if err := w.Streams.Try(v.Tenant, limit); err != nil {
		if full, is := errors.AsType[*fair.Full](err); is && full.Own {
			return nil, Full(limit)
		}
		return nil, err
	}
	if key != "" {
		if w.keyed == nil {
			w.keyed = map[streamKey]*Stream{}
		}
		w.keyed[s.key] = s
	}

	s.watch = w.watchOf(v.Tenant)
	s.view = s.watch.viewOf(v)
	s.view.streams[s] = struct{}{}
	s.view.joined = true
	s.watch.streams++
	wake.Up(s.watch.wake)
	if key != "" && w.Opened != nil {
		w.Opened(v.Tenant, key, s.opened)
	}
	return s, nil
}

// Replace ends the stream of a key that was opened before another one of that key in
// another process. If there is none in this process, it does nothing.
func (w *Watches) Replace(tenant int64, key string, opened time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.keyed[streamKey{tenant, key}]; s != nil && s.opened.UnixMilli() < opened.UnixMilli() {
		s.end(ErrReplaced)
	}
}

// watchOf returns the watch of a tenant, which is made if need be.
func (w *Watches) watchOf(tenant int64) *tenantWatch {
	if t := w.tenants[tenant]; t != nil {
		return t
	}

	t := &tenantWatch{of: w, tenant: tenant, wake: make(chan struct{}, 1), views: map[viewKey]*view{}}
	if w.tenants == nil {
		w.tenants = map[int64]*tenantWatch{}
	}
	w.tenants[tenant] = t
	w.starts = append(w.starts, t)
	wake.Up(w.waker())
	return t
}

// viewOf returns the view that shows v, which is made if need be.
func (t *tenantWatch) viewOf(v View) *view {
	key := viewKey{v.Key, v.Delay}
	if t.views[key] == nil {
		t.views[key] = &view{View: v, streams: map[*Stream]struct{}{}}
	}
	return t.views[key]
}

// waker returns the channel that wakes Run.
func (w *Watches) waker() chan struct{} {
	if w.wake == nil {
		w.wake = make(chan struct{}, 1)
	}
	return w.wake
}

// C returns the messages. It is closed when the stream has ended.
func (s *Stream) C() <-chan []byte { return s.ch }

// Err returns why the stream has ended, once C is closed.
func (s *Stream) Err() error {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.err
}

// Close ends the stream. It is safe to repeat.
func (s *Stream) Close() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.end(nil)
}

// end ends the stream and takes it out of all that holds it. The caller holds Watches.mu.
func (s *Stream) end(why error) {
	if s.closed {
		return
	}
	s.closed = true
	s.err = why
	close(s.ch)

	delete(s.view.streams, s)
	if len(s.view.streams) == 0 {
		delete(s.watch.views, viewKey{s.view.Key, s.view.Delay})
	}
	s.watch.streams--
	if s.watch.streams == 0 {
		delete(s.of.tenants, s.key.tenant)
		wake.Up(s.watch.wake) // its goroutine ends
	}
	if s.of.keyed[s.key] == s {
		delete(s.of.keyed, s.key)
	}
	s.of.Streams.Give(s.key.tenant)
}

// Changed says that a tenant's events may have changed what its views show. It never waits.
func (w *Watches) Changed(tenant int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.tenants[tenant]; t != nil {
		t.changed = true
		wake.Up(t.wake)
	}
}

// ChangedAll says so of all tenants.
func (w *Watches) ChangedAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.tenants {
		t.changed = true
		wake.Up(t.wake)
	}
}

// Close ends all streams, and refuses further ones.
func (w *Watches) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, t := range w.tenants {
		for _, v := range t.views {
			for s := range v.streams {
				s.end(ErrStopping)
			}
		}
	}
}

// Run does the work until ctx ends, and then ends all streams.
func (w *Watches) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	defer w.Close()
	for {
		w.mu.Lock()
		starts, wake := w.starts, w.waker()
		w.starts = nil
		w.mu.Unlock()
		for _, t := range starts {
			all.Go(func() { t.run(ctx) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
	}
}

// run works in rounds until nobody watches the tenant any more.
func (t *tenantWatch) run(ctx context.Context) {
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	due := time.NewTimer(watchEvery)
	defer due.Stop()
	for {
		all := false // views may have changed, whether or not an event says so
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-due.C:
		case <-look.C:
			all = true
		}

		views, watched := t.take(all)
		if !watched {
			return
		}
		began := time.Now()
		next, worked := t.round(ctx, views)
		if worked {
			pause := min(max(roundLeast, roundShare*time.Since(began)), roundMost)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
		due.Reset(time.Until(next))
	}
}

// take returns the views, marked with what has happened since the last round; false: nobody
// watches. all marks all of them as stale.
func (t *tenantWatch) take(all bool) (views []*view, watched bool) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	for _, v := range t.views {
		v.stale = v.stale || t.changed || all
		v.greets = v.greets || v.joined
		v.joined = false
		views = append(views, v)
	}
	t.changed = false
	return views, t.streams > 0
}

// round shows the views that are due, and returns when the next one is.
func (t *tenantWatch) round(ctx context.Context, views []*view) (next time.Time, worked bool) {
	next = time.Now().Add(watchEvery)
	for _, v := range views {
		if v.greets || (v.stale || v.owing) && !time.Now().Before(v.next) {
			worked = true
			if err := t.show(ctx, v); err != nil {
				t.fail(ctx, v, err)
			}
		}
		if (v.stale || v.owing) && v.next.Before(next) {
			next = v.next
		}
	}
	return next, worked
}

// show makes the page of a view as it is now, and sends it to the streams that may get it.
func (t *tenantWatch) show(ctx context.Context, v *view) error {
	showing, cancel := context.WithTimeout(ctx, showTime)
	defer cancel()
	now := time.Now()
	page, err := v.Show(showing, now.UnixMilli())
	if err != nil {
		return err
	}
	if v.page != nil && page.Same(v.page) {
		page = v.page // same content: keep the old pointer, so that streams that have it are not sent it again
	}
	v.page = page
	v.stale = false
	v.greets = false

	// Messages are made outside of the lock, which all streams share: one for each step.
	all := t.news(v, now)
	t.lastID = max(t.lastID+1, now.UnixMilli())
	messages := map[step][]byte{}
	for _, n := range all {
		if _, made := messages[n.step]; made {
			continue
		}
		if messages[n.step], err = n.message(Stamp{ID: t.lastID, At: now.UnixMilli()}); err != nil {
			return err
		}
	}
	t.send(v, all, messages, now)
	return nil
}

// step is from one page to another; from nil it is the whole page.
type step struct{ from, to Page }

func (s step) message(m Stamp) ([]byte, error) {
	if s.from == nil {
		return s.to.Full(m)
	}
	return s.to.Since(s.from, m)
}

// news is the step that one stream makes now.
type news struct {
	stream *Stream
	step
}

// news returns what to send now to each stream that lacks the view's page. Streams whose
// delay has not passed yet are left owing; v.next becomes the time when the first of them
// is due.
func (t *tenantWatch) news(v *view, now time.Time) (all []news) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	v.owing = false
	var first time.Time
	for s := range v.streams {
		if s.sent == v.page {
			continue
		}

		due := v.next
		if s.next.After(due) {
			due = s.next
		}
		switch {
		case s.sent == nil && s.first != nil: // its own page now, that of the view later
			all = append(all, news{stream: s, step: step{to: s.first}})
			due = now.Add(v.Delay)
		case s.sent == nil:
			all = append(all, news{stream: s, step: step{to: v.page}})
			continue
		case !now.Before(due):
			all = append(all, news{stream: s, step: step{from: s.sent, to: v.page}})
			continue
		}

		if !v.owing || due.Before(first) {
			first = due
		}
		v.owing = true
	}
	if v.owing {
		v.next = first
	}
	return all
}

// send hands out messages, by the steps that streams make. A stream that takes them too
// slowly ends.
func (t *tenantWatch) send(v *view, all []news, messages map[step][]byte, now time.Time) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	for _, n := range all {
		s := n.stream
		s.sent = n.to
		message := messages[n.step]
		if s.closed || message == nil {
			continue
		}

		s.next = now.Add(v.Delay)
		if n.from != nil {
			v.next = s.next
		}
		select {
		case s.ch <- message:
		default:
			s.end(ErrSlow)
		}
	}
}

// fail ends the streams that have been sent nothing yet; the others get more when the view
// can be shown again.
func (t *tenantWatch) fail(ctx context.Context, v *view, err error) {
	v.stale = true
	v.greets = false
	v.next = time.Now().Add(retryAfter)
	if ctx.Err() == nil {
		cmp.Or(t.of.Log, slog.Default()).ErrorContext(ctx, "watch", "tenant", t.tenant, "err", err)
	}

	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	for s := range v.streams {
		if s.sent == nil {
			s.end(err)
		}
	}
}
