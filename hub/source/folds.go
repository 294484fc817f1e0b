package source

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/wake"
	"github.com/hookline/hookline/subscriptions"
)

// Store is what folds need of the store.
type Store interface {
	// HeldSources lists the sources that have inputs which are held.
	HeldSources(ctx context.Context) ([]int64, error)
	// HeldInputs reads the first inputs of a source that are held, at most limit and, after the
	// first one, at most most bytes of them; and the mark that the source has.
	HeldInputs(ctx context.Context, source int64, limit int, most int64) (inputs []Input, mark int64, err error)
	// MapInputs commits a step as one transaction. The error is ErrBehind, and nothing is
	// committed, if the source has another mark than the step says.
	MapInputs(ctx context.Context, s Step) error
	// TrimInputs deletes inputs that are kept no longer.
	TrimInputs(ctx context.Context, now time.Time) error
	// LastInputs reads when the last input of each source came, Unix ms.
	LastInputs(ctx context.Context) (map[int64]int64, error)
}

// Step is what some inputs of a source became.
type Step struct {
	Source, Tenant int64
	Version        int64
	Mark           int64 // that the source had when its state was read
	Events         []*event.Event
	Outcomes       []Outcome
}

// Bounds of a step.
const (
	stepInputs = 128
	stepBytes  = 4 << 20
	stepEvents = 256
)

// Times of folds.
const (
	foldWorkers = 2
	lookHere    = 5 * time.Second        // for inputs that nobody said anything of
	lookOthers  = 250 * time.Millisecond // the same, if other processes take inputs too
	foldRetry   = time.Second
	foldWait    = 30 * time.Second // bound of a step
	trimEvery   = time.Minute
)

// News is told of what the owner of a source should know.
type News interface {
	// Rejecting says that inputs of a source were rejected.
	Rejecting(s *Source, inputs int, reason string)
	// Silent says that nothing came from a source since a time, Unix ms.
	Silent(s *Source, since int64)
}

// Folds makes events of inputs: of those of each source one after the other. Set its fields
// before Run.
type Folds struct {
	Book    *Book
	Store   Store
	Tenants *access.Book
	News    News
	Shared  bool     // other processes serve the same store
	Metrics *Metrics // nil: nothing is counted
	Now     func() time.Time
	Log     *slog.Logger

	mu     sync.Mutex
	owned  [subscriptions.Shards]bool
	queue  []int64        // sources to work on, each once
	states map[int64]turn // of sources in the queue or at work
	called chan struct{}  // a signal for a worker; made by Run
}

// turn says where a source is on its way through the workers.
type turn struct {
	working bool
	again   bool // there is more: it goes to the end of the queue afterwards
}

// Own says that this process works on the sources of a shard from now on.
func (f *Folds) Own(shard int, _ int64) { f.own(shard, true) }

// Lose says that it does no more.
func (f *Folds) Lose(shard int) { f.own(shard, false) }

// Release says the same. A step under way needs no waiting for: its commit fails when somebody
// else has made one.
func (f *Folds) Release(shard int, _ int64, _ time.Duration) { f.own(shard, false) }

// Renewed does nothing: what a process that lost its shards commits late is refused by its mark.
func (f *Folds) Renewed(time.Time) {}

// OwnAll says that this process works on all sources.
func (f *Folds) OwnAll() {
	for shard := range subscriptions.Shards {
		f.own(shard, true)
	}
}

func (f *Folds) own(shard int, is bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owned[shard] = is
}

// Wake says that a source has inputs that are held. It never blocks.
func (f *Folds) Wake(source int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.owned[subscriptions.Shard(source)] {
		return
	}
	if f.states == nil {
		f.states = map[int64]turn{}
	}
	if t, there := f.states[source]; there {
		if t.working {
			t.again = true
			f.states[source] = t
		}
		return
	}
	f.states[source] = turn{}
	f.queue = append(f.queue, source)
	if f.called != nil {
		wake.Up(f.called)
	}
}

// Run works until ctx ends.
func (f *Folds) Run(ctx context.Context) error {
	f.mu.Lock()
	f.called = make(chan struct{}, foldWorkers)
	f.mu.Unlock()

	var workers sync.WaitGroup
	for range foldWorkers {
		workers.Go(func() { f.work(ctx) })
	}
	workers.Go(func() { f.tend(ctx) })
	f.look(ctx)
	workers.Wait()
	return nil
}

// look finds sources with inputs of which nobody said anything: at the start, and those that
// other processes took.
func (f *Folds) look(ctx context.Context) {
	every := lookHere
	if f.Shared {
		every = lookOthers
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		sources, err := f.Store.HeldSources(ctx)
		if err != nil && ctx.Err() == nil {
			f.log().Warn("look for inputs", "err", err)
		}
		for _, no := range sources {
			if s := f.Book.Source(no); s != nil && s.State == Active {
				f.Wake(no)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tend deletes what is kept no longer, and says which sources are silent.
func (f *Folds) tend(ctx context.Context) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		first := f.owned[0]
		f.mu.Unlock()
		if !first { // another process does it
			continue
		}
		if err := f.Store.TrimInputs(ctx, f.now()); err != nil && ctx.Err() == nil {
			f.log().Warn("delete old inputs", "err", err)
		}
		if err := f.silence(ctx); err != nil && ctx.Err() == nil {
			f.log().Warn("look for silent sources", "err", err)
		}
	}
}

// silence says which sources have sent nothing for longer than they should.
func (f *Folds) silence(ctx context.Context) error {
	last, err := f.Store.LastInputs(ctx)
	if err != nil {
		return err
	}
	now := f.now()
	for _, s := range f.Book.All() {
		after := s.duration("silentAfter")
		if after == 0 || s.State != Active {
			continue
		}
		since := max(last[s.No], s.CreatedAt.UnixMilli())
		if now.Sub(time.UnixMilli(since)) > after {
			f.News.Silent(s, since)
		}
	}
	return nil
}

// work takes sources from the queue until ctx ends.
func (f *Folds) work(ctx context.Context) {
	for {
		no, found := f.next()
		if !found {
			select {
			case <-ctx.Done():
				return
			case <-f.called:
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		more, err := f.step(ctx, no)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrBehind) {
			f.log().Warn("map inputs", "source", no, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(foldRetry):
			}
		}
		f.done(no, more || errors.Is(err, ErrBehind))
	}
}

// next takes the first source of the queue. While there are more, another worker is called.
func (f *Folds) next() (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return 0, false
	}
	no := f.queue[0]
	f.queue = f.queue[1:]
	f.states[no] = turn{working: true}
	if len(f.queue) > 0 {
		wake.Up(f.called)
	}
	return no, true
}

// done puts a source that has more to the end of the queue, so that sources take turns.
func (f *Folds) done(no int64, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.states[no]; !more && !t.again || !f.owned[subscriptions.Shard(no)] {
		delete(f.states, no)
		return
	}
	f.states[no] = turn{}
	f.queue = append(f.queue, no)
	wake.Up(f.called)
}

// step maps the next inputs of a source. more says that there may be others.
func (f *Folds) step(ctx context.Context, no int64) (more bool, err error) {
	s := f.Book.Source(no)
	if s == nil || s.State != Active {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, foldWait)
	defer cancel()
	inputs, mark, err := f.Store.HeldInputs(ctx, no, stepInputs, stepBytes)
	if err != nil || len(inputs) == 0 {
		return false, err
	}
	t, err := f.translator(s)
	if err != nil {
		return false, err
	}

	step := Step{Source: s.No, Tenant: s.Tenant, Version: s.Version, Mark: mark}
	for i := range inputs {
		if len(step.Events) >= stepEvents {
			break
		}
		events, outcome := t.one(&inputs[i])
		step.Events = append(step.Events, events...)
		step.Outcomes = append(step.Outcomes, outcome)
	}
	if err := f.Store.MapInputs(ctx, step); err != nil {
		return false, err
	}
	f.observe(s, step)
	return true, nil
}

// translator returns what makes events of the inputs of a source.
func (f *Folds) translator(s *Source) (*translator, error) {
	m, err := f.Book.Mapping(s)
	if err != nil {
		return nil, err
	}
	strict := false
	if tenant := f.Tenants.Tenant(s.Tenant); tenant != nil {
		strict = tenant.Strict()
	}
	return &translator{
		source: s, mapping: m, now: f.now, gate: event.Gate{CompanyID: s.CompanyID, Strict: strict, Now: f.Now},
	}, nil
}

// observe counts what became of inputs, and says so if some were rejected.
func (f *Folds) observe(s *Source, step Step) {
	var counts [int(Rejected) + 1]int
	reason := ""
	for _, o := range step.Outcomes {
		counts[o.Status]++
		if o.Status == Rejected {
			reason = o.Reason
		}
	}
	for status, n := range counts {
		if n > 0 {
			f.Metrics.count(s.Kind, Status(status).String(), "", n)
		}
	}
	if counts[Rejected] > 0 && f.News != nil {
		f.News.Rejecting(s, counts[Rejected], reason)
	}
}

func (f *Folds) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}

func (f *Folds) log() *slog.Logger { return cmp.Or(f.Log, slog.Default()) }
