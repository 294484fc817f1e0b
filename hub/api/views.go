package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
)

// Bounds of what Views counts.
const (
	viewSpan  = time.Minute // looks after the first one that become one row
	viewsMost = 10_000      // objects being looked at; past them every look is a row
	viewsTick = 5 * time.Second
)

// Views notes in the audit log who looked at what. The first look of a key at an object is
// a row before it is answered. Further ones within a minute are counted, and become one row
// at its end: a player that asks for a recording piece by piece would otherwise write a row
// for each. A process that is killed loses such counts, never a first look.
type Views struct {
	Store interface {
		Note(ctx context.Context, by access.Caller, d audit.Deed) error
	}
	Now func() time.Time // default time.Now
	Log *slog.Logger     // default slog.Default()

	mu    sync.Mutex
	looks map[look]*further
}

// look is who looked at what. Another address of the same key is another look.
type look struct {
	tenant         int64
	key, ip        string
	action, object string
}

// further is the looks after the first one.
type further struct {
	by    access.Caller
	deed  audit.Deed
	until time.Time
	n     int
}

// furtherNote is what the row of further looks says.
type furtherNote struct {
	Further int `json:"further"` // looks after the one that has a row of its own
}

func (v *Views) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

// Note notes that by is about to see the object of d. It returns after the commit of a row,
// or after counting the look behind a row that is committed.
func (v *Views) Note(ctx context.Context, by access.Caller, d audit.Deed) error {
	l := look{d.Tenant, by.KeyID, by.IP, d.Action, d.Object}
	if v.count(l) {
		return nil
	}
	if err := v.Store.Note(ctx, by, d); err != nil {
		return err
	}

	v.mu.Lock()
	defer v.mu.Unlock()
	if v.looks == nil {
		v.looks = map[look]*further{}
	}
	if v.looks[l] == nil && len(v.looks) < viewsMost {
		v.looks[l] = &further{by: by, deed: d, until: v.now().Add(viewSpan)}
	}
	return nil
}

// count counts a look, and reports whether there is a row of the last minute to count it
// behind.
func (v *Views) count(l look) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.looks[l]
	if f == nil || !v.now().Before(f.until) {
		return false
	}
	f.n++
	return true
}

// Run writes the rows of further looks, until ctx ends. Then it writes what is left.
func (v *Views) Run(ctx context.Context) error {
	tick := time.NewTicker(viewsTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			write, cancel := context.WithTimeout(context.WithoutCancel(ctx), viewsTick)
			defer cancel()
			v.flush(write, true)
			return nil
		case <-tick.C:
			v.flush(ctx, false)
		}
	}
}

// flush writes a row for each object whose minute is over, or for all.
func (v *Views) flush(ctx context.Context, all bool) {
	var ended []*further
	v.mu.Lock()
	for l, f := range v.looks {
		if all || !v.now().Before(f.until) {
			delete(v.looks, l)
			if f.n > 0 {
				ended = append(ended, f)
			}
		}
	}
	v.mu.Unlock()

	var failed error
	for _, f := range ended {
		f.deed.After = furtherNote{f.n}
		if err := v.Store.Note(ctx, f.by, f.deed); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		log := v.Log
		if log == nil {
			log = slog.Default()
		}
		log.Error("further looks are not in the audit log", "err", failed)
	}
}
