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
)

// Page is one state of what a view shows.
type Page interface {
	// Same says whether another page of the same view shows the same.
	Same(o Page) bool
	// Full is the message for who knows nothing yet.
	Full(s Stamp) ([]byte, error)
	// Since is the message for who knows an earlier page; nil: there is nothing to say.
	Since(was Page, s Stamp) ([]byte, error)
}

// Stamp of a message.
type Stamp struct {
	ID int64 // grows from message to message, also over restarts
	At int64 // Unix ms
}

// View is what somebody wants to see. Views of a tenant with one Key and one Delay
// are one: it is worked out, and its messages are made, once for all who watch it.
type View struct {
	Tenant int64
	Key    string
	Delay  time.Duration // at least, between two messages to one stream
	// Show makes the page of a moment, Unix ms, from all that was accepted before it
	// is called. It is called by one goroutine at a time.
	Show func(ctx context.Context, now int64) (Page, error)
}

// Why a stream has ended, beside errors of View.Show.
var (
	ErrSlow     = errors.New("the listener is too slow")
	ErrReplaced = errors.New("another stream has its key")
	ErrStopping = errors.New("the hub stops")
)

const (
	streamBuffer = 16 // messages that wait for a listener; one more, and it is dropped

	// A view is looked at when its tenant's events say so, and this often: days end,
	// calls go stale, the directory changes, and what others say may be lost.
	watchEvery = time.Second
	// Between two rounds of a tenant: a pause, and so many times the length of the
	// last, so that watching takes a fifth of a processor at most.
	roundLeast = 50 * time.Millisecond
	roundShare = 4
	roundMost  = time.Second // what takes that long waits for the store
	showTime   = 10 * time.Second
	retryAfter = time.Second // what could not be shown is tried again
)

// Full is the error of a tenant that has as many streams open as it may.
type Full int

func (f Full) Error() string {
	return fmt.Sprintf("the tenant has %d streams open, which is its limit", int(f))
}

// Watches keeps streams of messages in step with what views show: first all of
// it, then what has changed. Its work is done by Run.
//
// Each tenant that is watched has a goroutine. It goes by rounds: those views are
// worked out that may have changed and are not to wait for their delay, and each
// stream gets what is between the page it knows and the new one. Streams that know
// the same get the same bytes.
type Watches struct {
	Log     *slog.Logger           // default slog.Default()
	Streams *fair.Slots[int64]     // places of streams
	Limit   func(tenant int64) int // of them
	// Opened is told of every stream that has a key, so that other processes hear of
	// it (Replace); must not block; may be nil.
	Opened func(tenant int64, key string, at time.Time)

	mu      sync.Mutex
	tenants map[int64]*watch
	keyed   map[streamKey]*Stream
	starts  []*watch
	wake    chan struct{} // of one; of Run
	closed  bool
}

type streamKey struct {
	tenant int64
	key    string
}

// Stream is what one listener hears.
type Stream struct {
	of     *Watches
	watch  *watch
	view   *view
	key    streamKey
	opened time.Time

	// Of the watch's goroutine.
	first Page      // what it is shown first; nil: what the view shows then
	knows Page      // the last page that it was told of
	next  time.Time // not before, it is told more

	// Guarded by Watches.mu.
	ch    chan []byte
	ended bool
	err   error
}

// watch is one tenant's.
type watch struct {
	of     *Watches
	tenant int64
	wake   chan struct{} // of one

	// Guarded by Watches.mu.
	streams int
	views   map[viewKey]*view
	changed bool

	lastID int64
}

type viewKey struct {
	key   string
	delay time.Duration
}

// view is a View that is watched.
type view struct {
	View

	streams map[*Stream]struct{} // guarded by Watches.mu
	joined  bool                 // some of them came since it was looked at; guarded by Watches.mu

	// Of the watch's goroutine.
	page   Page
	greets bool      // some streams know nothing yet
	stale  bool      // it may have changed
	owing  bool      // some stream does not know the page yet
	next   time.Time // not before, streams are told more
}

// Open starts a stream. Its first message shows all of the page first, or, when
// that is nil, of what the view shows then. The tenant's stream of the same key
// ends, and gives its place to this one; "": it has none. The error is Full or
// ErrStopping. Close the stream.
func (w *Watches) Open(v View, key string, first Page) (*Stream, error) {
	s := &Stream{of: w, key: streamKey{v.Tenant, key}, opened: time.Now(), first: first, ch: make(chan []byte, streamBuffer)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, ErrStopping
	}
	if was := w.keyed[s.key]; was != nil {
		was.end(ErrReplaced)
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
	signal(s.watch.wake)
	if key != "" && w.Opened != nil {
		w.Opened(v.Tenant, key, s.opened)
	}
	return s, nil
}

// Replace ends the stream of a key that was opened before another one elsewhere,
// or, when there is none of the key there, in this process.
func (w *Watches) Replace(tenant int64, key string, opened time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.keyed[streamKey{tenant, key}]; s != nil && s.opened.UnixMilli() < opened.UnixMilli() {
		s.end(ErrReplaced)
	}
}

func (w *Watches) watchOf(tenant int64) *watch {
	t := w.tenants[tenant]
	if t == nil {
		t = &watch{of: w, tenant: tenant, wake: make(chan struct{}, 1), views: map[viewKey]*view{}}
		if w.tenants == nil {
			w.tenants = map[int64]*watch{}
		}
		w.tenants[tenant] = t
		w.starts = append(w.starts, t)
		signal(w.waker())
	}
	return t
}

func (t *watch) viewOf(v View) *view {
	key := viewKey{v.Key, v.Delay}
	if t.views[key] == nil {
		t.views[key] = &view{View: v, streams: map[*Stream]struct{}{}}
	}
	return t.views[key]
}

func (w *Watches) waker() chan struct{} {
	if w.wake == nil {
		w.wake = make(chan struct{}, 1)
	}
	return w.wake
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// C gives the messages. It is closed when the stream has ended.
func (s *Stream) C() <-chan []byte { return s.ch }

// Err says, once C is closed, why.
func (s *Stream) Err() error {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.err
}

// Close ends the stream. Safe to repeat.
func (s *Stream) Close() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.end(nil)
}

func (s *Stream) end(why error) {
	if s.ended {
		return
	}
	s.ended, s.err = true, why
	close(s.ch)
	delete(s.view.streams, s)
	if len(s.view.streams) == 0 {
		delete(s.watch.views, viewKey{s.view.Key, s.view.Delay})
	}
	s.watch.streams--
	if s.watch.streams == 0 {
		delete(s.of.tenants, s.key.tenant)
		signal(s.watch.wake) // it ends
	}
	if s.of.keyed[s.key] == s {
		delete(s.of.keyed, s.key)
	}
	s.of.Streams.Give(s.key.tenant)
}

// Changed says that a tenant's events may have changed what its views show. It
// never waits.
func (w *Watches) Changed(tenant int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.tenants[tenant]; t != nil {
		t.changed = true
		signal(t.wake)
	}
}

// ChangedAll says so of all tenants.
func (w *Watches) ChangedAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.tenants {
		t.changed = true
		signal(t.wake)
	}
}

// Close ends all streams, and those that are opened later.
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

// run goes by rounds until nobody watches the tenant any more.
func (t *watch) run(ctx context.Context) {
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	due := time.NewTimer(watchEvery)
	defer due.Stop()
	for {
		again := false
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-due.C:
		case <-look.C:
			again = true
		}
		views, watched := t.take(again)
		if !watched {
			return
		}
		began := time.Now()
		next, worked := t.round(ctx, views)
		if worked {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(max(roundLeast, roundShare*time.Since(began)), roundMost)):
			}
		}
		due.Reset(time.Until(next))
	}
}

// take the views to be looked at; false: nobody watches.
func (t *watch) take(again bool) (views []*view, watched bool) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	for _, v := range t.views {
		v.stale = v.stale || t.changed || again
		v.greets, v.joined = v.greets || v.joined, false
		views = append(views, v)
	}
	t.changed = false
	return views, t.streams > 0
}

// round shows what is due, and says when the next is.
func (t *watch) round(ctx context.Context, views []*view) (next time.Time, worked bool) {
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

// show a view as it is now to those streams that may be told.
func (t *watch) show(ctx context.Context, v *view) error {
	showing, cancel := context.WithTimeout(ctx, showTime)
	defer cancel()
	now := time.Now()
	page, err := v.Show(showing, now.UnixMilli())
	if err != nil {
		return err
	}
	if v.page != nil && page.Same(v.page) {
		page = v.page // streams that know it know this one
	}
	v.page, v.stale, v.greets = page, false, false
	news := t.news(v, now)
	t.lastID = max(t.lastID+1, now.UnixMilli())
	messages := map[step][]byte{}
	for _, n := range news { // outside of the lock, which all streams share
		if _, made := messages[n.step]; made {
			continue
		}
		if messages[n.step], err = n.message(Stamp{t.lastID, now.UnixMilli()}); err != nil {
			return err
		}
	}
	t.tell(v, news, messages, now)
	return nil
}

// step is from one page to another; from nil it is all of it.
type step struct{ from, to Page }

func (s step) message(m Stamp) ([]byte, error) {
	if s.from == nil {
		return s.to.Full(m)
	}
	return s.to.Since(s.from, m)
}

// news is what one stream is to be told.
type news struct {
	stream *Stream
	step
}

// news for the streams of a view that do not know its page. Those that have to
// wait are owed it: next is then when the first of them need not.
func (t *watch) news(v *view, now time.Time) (all []news) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	v.owing = false
	var first time.Time
	for s := range v.streams {
		if s.knows == v.page {
			continue
		}
		at := v.next
		if s.next.After(at) {
			at = s.next
		}
		switch {
		case s.knows == nil && s.first != nil:
			all = append(all, news{s, step{nil, s.first}})
			at = now.Add(v.Delay)
		case s.knows == nil:
			all = append(all, news{s, step{nil, v.page}})
			continue
		case !now.Before(at):
			all = append(all, news{s, step{s.knows, v.page}})
			continue
		}
		if !v.owing || at.Before(first) {
			first = at
		}
		v.owing = true
	}
	if v.owing {
		v.next = first
	}
	return all
}

func (t *watch) tell(v *view, all []news, messages map[step][]byte, now time.Time) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	for _, n := range all {
		s, text := n.stream, messages[n.step]
		s.knows = n.to
		if s.ended || text == nil {
			continue
		}
		s.next = now.Add(v.Delay)
		if n.from != nil {
			v.next = s.next
		}
		select {
		case s.ch <- text:
		default:
			s.end(ErrSlow)
		}
	}
}

// fail ends the streams that have been shown nothing yet; the others hear more
// when it works again.
func (t *watch) fail(ctx context.Context, v *view, err error) {
	v.stale, v.greets, v.next = true, false, time.Now().Add(retryAfter)
	if ctx.Err() == nil {
		cmp.Or(t.of.Log, slog.Default()).ErrorContext(ctx, "watch", "tenant", t.tenant, "err", err)
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	for s := range v.streams {
		if s.knows == nil {
			s.end(err)
		}
	}
}
