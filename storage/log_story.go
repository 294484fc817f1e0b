package storage

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// story reads the deliveries of few events, which an index knows: those of one order key in
// order, oldest first, or those that name a customer's number, newest first unless the
// filter wants the oldest.
type story struct {
	snapshot
	f       *search.DeliveryFilter
	up      bool  // the oldest come first
	subs    int   // of the tenant, or of the filter
	low     int64 // the events that were not looked at are in [low, below)
	below   int64
	ready   []search.DeliveryCursor
	done    bool
	stopped *search.DeliveryCursor
}

func (snap snapshot) newStory(ctx context.Context, f *search.DeliveryFilter, low, below int64) (*story, error) {
	s := &story{snapshot: snap, f: f, up: f.OrderKey != "" || f.Oldest, low: low, below: below}
	if f.After != nil && s.up {
		s.low = max(low, f.After.Seq)
	} else if f.After != nil && f.After.Seq < below {
		s.below = f.After.Seq + 1
	}
	s.subs = max(1, len(f.Subs))
	if len(f.Subs) == 0 {
		if err := sqlx.GetContext(ctx, snap.Q, &s.subs,
			"SELECT COUNT(*) FROM subscriptions WHERE tenant = ?", f.Tenant); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *story) take(ctx context.Context, n int) ([]search.DeliveryCursor, bool, error) {
	for len(s.ready) < n && !s.done {
		if s.rows <= 0 {
			s.stopped = &search.DeliveryCursor{Seq: s.below}
			if s.up {
				s.stopped = &search.DeliveryCursor{Seq: s.low - 1, Sub: math.MaxInt64}
			}
			break
		}
		if err := s.step(ctx, min(n, max(1, DefaultPageRows/max(1, s.subs)))); err != nil {
			return nil, false, err
		}
	}
	some := s.ready[:min(n, len(s.ready))]
	s.ready = s.ready[len(some):]
	return some, len(some) == n, nil
}

// step reads the deliveries of the next events, at most n events.
func (s *story) step(ctx context.Context, n int) error {
	seqs, err := s.events(ctx, n)
	if err != nil {
		return err
	}
	s.done = len(seqs) < n
	if len(seqs) == 0 {
		return nil
	}
	if last := seqs[len(seqs)-1]; s.up {
		s.low = last + 1
	} else {
		s.below = last
	}
	s.rows -= len(seqs) * max(1, s.subs)

	// Their deliveries, which are of any subscription of the tenant.
	args := make([]any, 0, len(seqs)+2)
	for _, seq := range seqs {
		args = append(args, seq)
	}
	where := "s.tenant = ?"
	args = append(args, s.f.Tenant)
	where, args = ofSubs(where, args, s.f.Subs)
	times, picks := s.accepted(s.f.From, s.f.To)
	if times != "" { // here the columns need a table
		times = " AND d." + strings.ReplaceAll(times, "AND ", "AND d.")
	}
	var found []search.DeliveryCursor
	if err := sqlx.SelectContext(ctx, s.Q, &found, "WITH k(seq) AS (VALUES "+sqldb.BigInts(1, len(seqs))+`)
		SELECT d.seq, d.sub FROM k CROSS JOIN subscriptions s ON true
			CROSS JOIN deliveries d ON d.sub = s.no AND d.seq = k.seq AND d.run = 0
		WHERE `+where+times, append(args, picks...)...); err != nil {
		return err
	}
	slices.SortFunc(found, s.compare)
	for _, d := range found {
		if s.f.After == nil || s.compare(*s.f.After, d) < 0 {
			s.ready = append(s.ready, d)
		}
	}
	return nil
}

// compare orders deliveries as the page has them.
func (s *story) compare(a, b search.DeliveryCursor) int {
	c := cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Sub, b.Sub))
	if s.up {
		return c
	}
	return -c
}

// events returns the numbers of the next events that the story is about, at most n.
func (s *story) events(ctx context.Context, n int) (seqs []int64, err error) {
	if s.f.OrderKey == "" {
		return s.subjectEvents(ctx, s.f.Tenant, s.f.Subject, s.low, s.below, s.up, n)
	}

	query := `SELECT seq FROM events INDEXED BY events_order_key
		WHERE tenant = ? AND order_key = ? AND order_key <> '' AND seq >= ? AND seq < ?`
	args := []any{s.f.Tenant, s.f.OrderKey, s.low, s.below}
	if s.f.Subject != nil {
		query += " AND EXISTS (SELECT 1 FROM subjects x WHERE x.tenant = events.tenant AND x.subject = ? AND x.seq = events.seq)"
		args = append(args, s.f.Subject)
	}
	err = sqlx.SelectContext(ctx, s.Q, &seqs, query+" ORDER BY seq LIMIT ?", append(args, n)...)
	return seqs, err
}

func (s *story) stoppedAt() *search.DeliveryCursor { return s.stopped }
