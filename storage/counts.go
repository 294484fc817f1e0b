package storage

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

const (
	hourMS   = 3_600_000
	minuteMS = 60_000
	// ringMinutes is how many minutes of a subscription delivery_minutes holds:
	// a later minute takes the row of the one so long before it.
	ringMinutes = 64
)

// hourDeltas gathers what one transaction adds to delivery_hours,
// delivery_minutes and last_errors, so that a batch writes a row per
// subscription, not per event.
type hourDeltas struct {
	hours   map[stateHour]*hourDelta
	minutes map[subMinute]*search.Tried
	errors  map[int64]*delivery.Outcome // by subscription, the latest
}

type stateHour struct {
	sub, hour int64
	class     event.Class
}

type subMinute struct{ sub, minute int64 }

func (a stateHour) compare(b stateHour) int {
	return cmp.Or(cmp.Compare(a.sub, b.sub), cmp.Compare(a.hour, b.hour), cmp.Compare(a.class, b.class))
}

// Slots, not minutes: the order of the rows.
func (a subMinute) compare(b subMinute) int {
	return cmp.Or(cmp.Compare(a.sub, b.sub), cmp.Compare(a.minute%ringMinutes, b.minute%ringMinutes), cmp.Compare(a.minute, b.minute))
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}

type hourDelta struct {
	states [7]int64 // by delivery.State; Pending counts what was matched
	search.Tried
}

// Columns of what was tried, in the order of triedArgs.
var (
	triedColumns = func() string {
		columns := []string{"ok", "failed"}
		for b := range delivery.LatencyBuckets {
			columns = append(columns, fmt.Sprintf("l%d", b))
		}
		return strings.Join(columns, ", ")
	}()
	hourCounts   = "matched, delivered, exhausted, expired, cancelled, superseded, " + triedColumns
	hourColumns  = "sub, hour, class, " + hourCounts
	minuteCounts = triedColumns
)

// each applies a pattern, in which % stands for the name, to every column.
func each(columns, pattern string) string {
	names := strings.Split(columns, ", ")
	for i, c := range names {
		names[i] = strings.ReplaceAll(pattern, "%", c)
	}
	return strings.Join(names, ", ")
}

func (s *statements) newHours(conn *sqlx.Conn, in sqldb.Dialect) {
	sizes := bulkSizes(in)
	s.hours = newBulk(conn, sizes, "INSERT INTO delivery_hours ("+hourKey(in)+", "+hourCounts+") VALUES",
		strings.Count(hourKey(in)+hourCounts, ",")+2, "ON CONFLICT ("+hourKey(in)+") DO UPDATE SET "+each(hourCounts, "% = delivery_hours.% + excluded.%"))
	// What was counted in the row of another minute is over. Should a minute come
	// when its row is taken by a later one already, nobody asks for it any more.
	s.minutes = newBulk(conn, sizes, "INSERT INTO delivery_minutes (sub, slot, minute, "+minuteCounts+") VALUES",
		strings.Count(minuteCounts, ",")+4, "ON CONFLICT (sub, slot) DO UPDATE SET "+
			each(minuteCounts, "% = CASE WHEN delivery_minutes.minute = excluded.minute THEN delivery_minutes.% ELSE 0 END + excluded.%")+
			", minute = excluded.minute WHERE excluded.minute >= delivery_minutes.minute")
	s.errors = newBulk(conn, sizes, "INSERT INTO last_errors (sub, at, seq, accepted_at, status, class, error) VALUES", 7,
		"ON CONFLICT (sub) DO UPDATE SET "+each("at, seq, accepted_at, status, class, error", "% = excluded.%")+" WHERE excluded.at >= last_errors.at")
}

func (h *hourDeltas) reset() {
	h.hours = map[stateHour]*hourDelta{}
	h.minutes = map[subMinute]*search.Tried{}
	h.errors = map[int64]*delivery.Outcome{}
}

func (h *hourDeltas) hour(sub, at int64, class event.Class) *hourDelta {
	k := stateHour{sub, at / hourMS, class}
	d := h.hours[k]
	if d == nil {
		d = new(hourDelta)
		h.hours[k] = d
	}
	return d
}

func (h *hourDeltas) matched(sub, acceptedAt int64, class event.Class) {
	h.hour(sub, acceptedAt, class).states[delivery.Pending]++
}

func (h *hourDeltas) ended(sub, acceptedAt int64, class event.Class, s delivery.State) {
	h.hour(sub, acceptedAt, class).states[s]++
}

// attempt counts the attempt of an outcome, by the time it began.
func (h *hourDeltas) attempt(o *delivery.Outcome) {
	a, sub := o.Attempt, o.Item.Sub
	k := subMinute{sub, a.At / minuteMS}
	m := h.minutes[k]
	if m == nil {
		m = new(search.Tried)
		h.minutes[k] = m
	}
	ok, took := a.Class == delivery.None, a.Total.Truncate(time.Microsecond) // as it is stored
	m.Note(ok, took)
	h.hour(sub, a.At, o.Item.Type.Class()).Note(ok, took)
	if last := h.errors[sub]; a.Class != delivery.None && (last == nil || last.Attempt.At <= a.At) {
		h.errors[sub] = o
	}
}

// write comes last in a transaction: until its end these rows are locked, and
// on PostgreSQL others want them too. All take them in the same order.
// On PostgreSQL each writer has a part of the counts by hour.
func (h *hourDeltas) write(ctx context.Context, s *statements, in sqldb.Dialect, part int64) error {
	for _, k := range sortedKeys(h.hours, stateHour.compare) {
		d := h.hours[k]
		n := &d.states
		s.hours.add(k.sub, k.hour, int64(k.class))
		if in == sqldb.Postgres {
			s.hours.add(part)
		}
		s.hours.add(n[delivery.Pending], n[delivery.Delivered], n[delivery.Exhausted],
			n[delivery.Expired], n[delivery.Cancelled], n[delivery.Superseded])
		addTried(s.hours, &d.Tried)
	}
	minutes := sortedKeys(h.minutes, subMinute.compare)
	for i, k := range minutes {
		if i+1 < len(minutes) && minutes[i+1].sub == k.sub && (minutes[i+1].minute-k.minute)%ringMinutes == 0 {
			continue // outcomes waited for an hour: the later minute takes the row
		}
		t := h.minutes[k]
		s.minutes.add(k.sub, k.minute%ringMinutes, k.minute)
		addTried(s.minutes, t)
	}
	for _, sub := range sortedKeys(h.errors, cmp.Compare[int64]) {
		o := h.errors[sub]
		a := o.Attempt
		s.errors.add(sub, a.At, o.Item.Seq, o.Item.AcceptedAt, int64(a.StatusCode), int64(a.Class), a.Err)
	}
	if _, err := s.hours.flush(ctx); err != nil {
		return fmt.Errorf("count by hour: %w", err)
	}
	if _, err := s.minutes.flush(ctx); err != nil {
		return fmt.Errorf("count by minute: %w", err)
	}
	if _, err := s.errors.flush(ctx); err != nil {
		return fmt.Errorf("note last errors: %w", err)
	}
	return nil
}

func addTried(b *bulk, t *search.Tried) {
	b.add(t.OK, t.Failed)
	for _, n := range t.Latencies {
		b.add(n)
	}
}

// hourKey is the primary key of delivery_hours.
func hourKey(in sqldb.Dialect) string {
	if in == sqldb.Postgres {
		return "sub, hour, class, part"
	}
	return "sub, hour, class"
}

// Parts of the counts by hour. Who adds to one holds its row until the commit.
const (
	partOfAdmins   = 0
	partOfOutcomes = 1 // of all processes: a subscription has one owner
	partsOfAccepts = 2 // the first; 16 for each of 16 sorts of processes
)

// hourPart is that of the i-th worker for some kinds of work.
func (db *DB) hourPart(takes kinds, i int) int64 {
	if takes&ofAccepts == 0 {
		return partOfOutcomes
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(db.cfg.Process)) // never fails
	return partsOfAccepts + int64(h.Sum32()%16)*16 + int64(i%16)
}
