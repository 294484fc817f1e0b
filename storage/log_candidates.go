package storage

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/search"
)

// candidates are deliveries that a page of the log may show, in the order of the page.
type candidates interface {
	// take returns up to n of them. more is false when there are no others, or the page
	// has looked at enough rows.
	take(ctx context.Context, n int) (some []search.DeliveryCursor, more bool, err error)
	// stoppedAt returns where the next page begins; nil if there are no others.
	stoppedAt() *search.DeliveryCursor
}

// minLook is how many rows of each subscription a page looks at in any case, so that it
// makes progress however many subscriptions there are.
const minLook = 50

// merge reads the log newest first, or oldest first. It merges the subscriptions' own
// ranges.
type merge struct {
	snapshot
	streams []*stream
	look    int // rows that a stream looks at in one step; snapshot.rows is how many the page has left
	stopped *search.DeliveryCursor
}

// stream is the part of one subscription.
type stream struct {
	sub    int64
	walk   walk
	ready  []int64 // found and not yet taken, in the order of the log
	walked bool
}

// front returns the first number in the order of the log that may still come; false if
// none will.
func (s *stream) front() (seq int64, ok bool) {
	switch {
	case len(s.ready) > 0:
		return s.ready[0], true
	case s.walk.done:
		return 0, false
	case s.walk.up:
		return s.walk.above + 1, true
	}
	return s.walk.below - 1, true
}

func (snap snapshot) newMerge(ctx context.Context, f *search.DeliveryFilter, low, below int64) (*merge, error) {
	m := &merge{snapshot: snap}
	if f.After != nil && f.Oldest {
		low = max(low, f.After.Seq)
	} else if f.After != nil {
		below = min(below, f.After.Seq+1)
	}
	where, args := "s.tenant = ?", []any{below, low, f.Tenant}
	where, args = ofSubs(where, args, f.Subs)
	order := "DESC"
	if f.Oldest {
		order = "ASC"
	}

	// Subscriptions take part if they have a row in the range. The many that were
	// deleted long ago cost one look each.
	rows, err := snap.Q.QueryxContext(ctx, `SELECT s.no, (SELECT d.seq FROM deliveries d
			WHERE d.sub = s.no AND d.seq < ? AND d.seq >= ? ORDER BY d.seq `+order+` LIMIT 1) AS first
		FROM subscriptions s WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var sub int64
		var first sql.NullInt64
		if err := rows.Scan(&sub, &first); err != nil {
			return nil, err
		}
		if !first.Valid {
			continue
		}

		w := deliveryWalk(sub, f)
		if filter, picks := snap.accepted(f.From, f.To); filter != "" {
			w.narrow(filter, picks...)
		}
		if f.Oldest {
			w.up = true
			w.above = first.Int64 - 1
			w.below = below
			if f.After != nil && sub <= f.After.Sub {
				w.above = max(w.above, f.After.Seq)
			}
			w.done = w.above >= w.below-1
		} else {
			w.low = low
			w.below = first.Int64 + 1
			if f.After != nil && sub >= f.After.Sub {
				w.below = min(w.below, f.After.Seq)
			}
			w.done = w.below <= w.low
		}
		m.streams = append(m.streams, &stream{sub: sub, walk: w})
		if onlyPending(f) && f.Replay == 0 {
			m.streams = append(m.streams, &stream{sub: sub, walk: w.ofReplays()})
		}
	}
	m.look = max(min(minLook, snap.rows), snap.rows/max(1, len(m.streams)))
	return m, rows.Err()
}

// ofSubs adds to a condition that a subscription is one of some; empty: any.
func ofSubs(where string, args []any, subs []int64) (string, []any) {
	if len(subs) == 0 {
		return where, args
	}
	for _, no := range subs {
		args = append(args, no)
	}
	return where + " AND s.no IN (" + strings.TrimSuffix(strings.Repeat("?,", len(subs)), ",") + ")", args
}

// lastAsked reports whether a filter asks about the last answer.
func lastAsked(f *search.DeliveryFilter) bool { return len(f.HTTP) > 0 || f.Errors != 0 }

// onlyPending reports whether a filter asks for what is pending, and nothing that the
// index of that does not know.
func onlyPending(f *search.DeliveryFilter) bool {
	return f.States == search.States(delivery.Pending) && !lastAsked(f)
}

// rowStates returns the states that the row of run 0 may have of deliveries that are in
// some states: of one that is pending, its row may say that a later run is.
func rowStates(states search.StateSet) int64 {
	if states.Has(delivery.Pending) {
		states |= search.States(delivery.Reopened, delivery.Replaying)
	}
	return int64(states)
}

// isOf is the condition that a column is in a set of bits.
func isOf(column string) string { return "(CAST(? AS BIGINT) >> " + column + ") & 1 = 1" }

// deliveryWalk picks the rows of one subscription that may belong to a wanted
// delivery: at least one row of each that is wanted, and few others.
func deliveryWalk(sub int64, f *search.DeliveryFilter) walk {
	w := walk{table: "deliveries", where: "sub = ?", args: []any{sub}}
	var filters []string
	pick := func(filter string, v any) {
		filters = append(filters, filter)
		w.picks = append(w.picks, v)
	}

	// The deliveries of a replay have an index of their own. Every run of it is one of a
	// delivery, so there is nothing to test row by row; the filter that all rows pass
	// bounds how many a page looks at.
	if f.Replay != 0 {
		w.table, w.where = "deliveries INDEXED BY deliveries_replay", "sub = ? AND replay = ?"
		w.args = append(w.args, f.Replay)
		pick("run >= ?", 0)
		w.filter = filters[0]
		return w
	}

	// The index: an answer outside 2xx is an error, and errors have one.
	failed := f.Errors != 0 || len(f.HTTP) > 0 && !slices.ContainsFunc(f.HTTP, func(r search.StatusRange) bool {
		return r.From <= 299 && r.To >= 200
	})
	ended := f.States != 0 && !f.States.Has(delivery.Pending) && !f.States.Has(delivery.Delivered)
	switch {
	case failed || ended:
		w.table, w.where = "deliveries INDEXED BY deliveries_trouble", "sub = ? AND (state > 1 OR last_error > 0)"
	case onlyPending(f):
		w.table, w.where = "deliveries INDEXED BY deliveries_pending", "sub = ? AND state = 0"
	}

	if len(f.HTTP) > 0 {
		var ranges []string
		for _, r := range f.HTTP {
			ranges = append(ranges, "last_status BETWEEN ? AND ?")
			w.picks = append(w.picks, r.From, r.To)
		}
		filters = append(filters, "("+strings.Join(ranges, " OR ")+")")
	}
	if f.Errors != 0 {
		pick("last_error > 0 AND "+isOf("last_error"), int64(f.Errors))
	}

	// One row of each delivery: that of run 0, unless the filter asks about the last
	// answer, which stands with the latest run; the state stands with run 0.
	switch {
	case f.States == 0 && !lastAsked(f):
		filters = append(filters, "run = 0")
	case f.States == 0, onlyPending(f):
	case lastAsked(f):
		pick("(run > 0 OR "+isOf("state")+")", rowStates(f.States))
	default:
		pick("run = 0 AND "+isOf("state"), rowStates(f.States))
	}

	if f.Types != 0 {
		pick("(CAST(? AS BIGINT) >> type) & 1 = 1", int64(f.Types))
	}
	if len(filters) == 1 && filters[0] == "run = 0" {
		// Retries by hand are few: no filter is needed to stay bounded, for
		// every number found is a delivery.
		filters = nil
	}
	w.filter = strings.Join(filters, " AND ")
	return w
}

// ofReplays returns a walk over the pending deliveries that replays have made, of a walk
// over those that are pending live. They are in no index of these.
func (w walk) ofReplays() walk {
	w.table = "deliveries INDEXED BY deliveries_replaying"
	w.where = "sub = ? AND state = 7"
	w.narrow("run = 0")
	return w
}

// next returns the stream that may have the next delivery in the order of the log, with the
// number of that. Of two with the same event it is the one with the higher subscription,
// or the lower one when the oldest come first. It returns nil when nothing is left.
func (m *merge) next() (next *stream, front int64) {
	for _, s := range m.streams {
		seq, ok := s.front()
		if !ok {
			continue
		}
		better := next == nil
		if next != nil {
			c := cmp.Or(cmp.Compare(seq, front), cmp.Compare(s.sub, next.sub))
			better = c > 0 != s.walk.up && c != 0
		}
		if better {
			next = s
			front = seq
		}
	}
	return next, front
}

func (m *merge) take(ctx context.Context, n int) (some []search.DeliveryCursor, more bool, err error) {
	for len(some) < n {
		next, front := m.next()
		if next == nil {
			return some, false, nil
		}
		if len(next.ready) > 0 {
			some = append(some, search.DeliveryCursor{Seq: front, Sub: next.sub})
			next.ready = next.ready[1:]
			continue
		}

		// Every stream may step once, so that a page always makes progress.
		if m.rows <= 0 && next.walked {
			m.stopped = &search.DeliveryCursor{Seq: front, Sub: next.sub + 1}
			if next.walk.up {
				m.stopped.Sub = next.sub - 1
			}
			return some, false, nil
		}

		batch := min(n+1, max(8, 2*n/len(m.streams)))
		if next.ready, err = next.walk.step(ctx, m.Q, m.look, batch); err != nil {
			return nil, false, err
		}
		next.walked = true
		if next.walk.filter != "" {
			m.rows -= m.look
		}
	}
	return some, true, nil
}

func (m *merge) stoppedAt() *search.DeliveryCursor { return m.stopped }
