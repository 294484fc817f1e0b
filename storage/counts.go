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
	// ringMinutes is how many minutes of a subscription delivery_minutes holds. A
	// minute takes the row of the one so long before it.
	ringMinutes = 64
)

// countDeltas gathers what one transaction adds to delivery_hours, delivery_minutes,
// error_hours and last_errors, so that a batch writes a row for each subscription, not for each
// event.
type countDeltas struct {
	hours   map[stateHour]*hourDelta
	minutes map[subMinute]*search.Tried
	errors  map[int64]*delivery.Outcome // by subscription, the latest
	failed  map[errorHour]int64         // attempts
}

// stateHour is what a row of delivery_hours counts.
type stateHour struct {
	sub, hour int64
	kind      countKind
}

// subMinute is what a row of delivery_minutes counts.
type subMinute struct{ sub, minute int64 }

func (a stateHour) compare(b stateHour) int {
	return cmp.Or(cmp.Compare(a.sub, b.sub), cmp.Compare(a.hour, b.hour), cmp.Compare(a.kind, b.kind))
}

// compare orders minutes as their rows are, by slot of the ring.
func (a subMinute) compare(b subMinute) int {
	bySlot := cmp.Compare(a.minute%ringMinutes, b.minute%ringMinutes)
	return cmp.Or(cmp.Compare(a.sub, b.sub), bySlot, cmp.Compare(a.minute, b.minute))
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}

// hourDelta is what a transaction adds to a row of delivery_hours.
type hourDelta struct {
	states [delivery.Replaying + 1]int64 // by delivery.State; Pending counts what was matched
	search.Tried
}

// Columns of counts. Those of what was tried are in the order of addTried.
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

// hourKey returns the primary key of delivery_hours.
func hourKey(in sqldb.Dialect) string {
	if in == sqldb.Postgres {
		return "sub, hour, class, part"
	}
	return "sub, hour, class"
}

// Parts of the counts by hour. A transaction that adds to a part holds its row until
// the commit.
const (
	partOfAdmins   = 0
	partOfOutcomes = 1 // of all processes: a subscription has one owner
	partsOfAccepts = 2 // the first; 16 for each of 16 groups of processes
)

// hourPart returns the part to which the i-th worker for some kinds of work adds.
func (db *DB) hourPart(takes kinds, i int) int64 {
	if takes&ofAccepts == 0 {
		return partOfOutcomes
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(db.cfg.Process)) // never fails
	return partsOfAccepts + int64(h.Sum32()%16)*16 + int64(i%16)
}

// each applies a pattern, in which % stands for the name, to every column.
func each(columns, pattern string) string {
	names := strings.Split(columns, ", ")
	for i, c := range names {
		names[i] = strings.ReplaceAll(pattern, "%", c)
	}
	return strings.Join(names, ", ")
}

// prepareCounts makes the statements that add to the counts.
func (s *statements) prepareCounts(conn *sqlx.Conn, in sqldb.Dialect) {
	sizes := bulkSizes(in)
	s.hours = newBulk(conn, sizes, "INSERT INTO delivery_hours ("+hourKey(in)+", "+hourCounts+") VALUES",
		strings.Count(hourKey(in)+hourCounts, ",")+2,
		"ON CONFLICT ("+hourKey(in)+") DO UPDATE SET "+each(hourCounts, "% = delivery_hours.% + excluded.%"))

	// Rows are reused as a ring: a later minute overwrites the counts of an earlier
	// one. A late count for a minute that was overwritten is dropped, because nobody
	// asks for it any more.
	s.minutes = newBulk(conn, sizes, "INSERT INTO delivery_minutes (sub, slot, minute, "+minuteCounts+") VALUES",
		strings.Count(minuteCounts, ",")+4, "ON CONFLICT (sub, slot) DO UPDATE SET "+
			each(minuteCounts,
				"% = excluded.% + CASE WHEN delivery_minutes.minute = excluded.minute THEN delivery_minutes.% ELSE 0 END")+
			", minute = excluded.minute WHERE excluded.minute >= delivery_minutes.minute")

	s.failed = newBulk(conn, sizes, "INSERT INTO error_hours (sub, hour, error, attempts) VALUES", 4,
		"ON CONFLICT (sub, hour, error) DO UPDATE SET attempts = error_hours.attempts + excluded.attempts")

	s.errors = newBulk(conn, sizes, "INSERT INTO last_errors (sub, at, seq, accepted_at, status, class, error) VALUES", 7,
		"ON CONFLICT (sub) DO UPDATE SET "+each("at, seq, accepted_at, status, class, error", "% = excluded.%")+
			" WHERE excluded.at >= last_errors.at")

	// Only SQLite's: see worker.end.
	s.bytes = newBulk(conn, sizes, "INSERT INTO body_bytes (tenant, day, bytes, part) VALUES", 4,
		"ON CONFLICT (tenant, day, part) DO UPDATE SET bytes = body_bytes.bytes + excluded.bytes")
}

func (c *countDeltas) reset() {
	c.hours = map[stateHour]*hourDelta{}
	c.minutes = map[subMinute]*search.Tried{}
	c.errors = map[int64]*delivery.Outcome{}
	c.failed = map[errorHour]int64{}
}

func (c *countDeltas) hour(sub, at int64, t event.Type) *hourDelta {
	key := hourOf(sub, at, t)
	d := c.hours[key]
	if d == nil {
		d = new(hourDelta)
		c.hours[key] = d
	}
	return d
}

// matched counts a delivery that was made, by the time its event was accepted.
func (c *countDeltas) matched(sub, acceptedAt int64, t event.Type) {
	c.hour(sub, acceptedAt, t).states[delivery.Pending]++
}

// ended counts the end of a delivery, by the time its event was accepted.
func (c *countDeltas) ended(sub, acceptedAt int64, t event.Type, s delivery.State) {
	c.hour(sub, acceptedAt, t).states[s]++
}

// moved counts a delivery that had ended in a state as ended in another.
func (c *countDeltas) moved(sub, acceptedAt int64, t event.Type, from, to delivery.State) {
	states := &c.hour(sub, acceptedAt, t).states
	states[from]--
	states[to]++
}

// attempt counts the attempt of an outcome, by the time it began.
func (c *countDeltas) attempt(o *delivery.Outcome) {
	a, sub := o.Attempt, o.Item.Sub
	ok := a.Class == delivery.None
	took := a.Total.Truncate(time.Microsecond) // as it is stored

	key := subMinute{sub, a.At / minuteMS}
	minute := c.minutes[key]
	if minute == nil {
		minute = new(search.Tried)
		c.minutes[key] = minute
	}
	minute.Note(ok, took)
	c.hour(sub, a.At, o.Item.Type).Note(ok, took)
	if !ok {
		c.failed[errorHour{sub, a.At / hourMS, a.Class}]++
	}
	if last := c.errors[sub]; !ok && (last == nil || last.Attempt.At <= a.At) {
		c.errors[sub] = o
	}
}

// write adds what was gathered to the tables. It comes last in a transaction, because
// these rows are locked until its end, and on PostgreSQL others want them too. All
// take them in the same order, and each writer has a part of the counts by hour.
func (c *countDeltas) write(ctx context.Context, s *statements, in sqldb.Dialect, part int64) error {
	for _, k := range sortedKeys(c.hours, stateHour.compare) {
		d := c.hours[k]
		n := &d.states
		s.hours.add(k.sub, k.hour, int64(k.kind))
		if in == sqldb.Postgres {
			s.hours.add(part)
		}
		s.hours.add(n[delivery.Pending], n[delivery.Delivered], n[delivery.Exhausted],
			n[delivery.Expired], n[delivery.Cancelled], n[delivery.Superseded])
		addTried(s.hours, &d.Tried)
	}

	// A statement may name a row only once. If outcomes waited for an hour, two
	// minutes fall into one slot, and the later one takes it.
	minutes := sortedKeys(c.minutes, subMinute.compare)
	for i, k := range minutes {
		if i+1 < len(minutes) && minutes[i+1].sub == k.sub && (minutes[i+1].minute-k.minute)%ringMinutes == 0 {
			continue
		}
		s.minutes.add(k.sub, k.minute%ringMinutes, k.minute)
		addTried(s.minutes, c.minutes[k])
	}

	for _, sub := range sortedKeys(c.errors, cmp.Compare[int64]) {
		o := c.errors[sub]
		a := o.Attempt
		s.errors.add(sub, a.At, o.Item.Seq, o.Item.AcceptedAt, int64(a.StatusCode), int64(a.Class), a.Err)
	}

	for _, k := range sortedKeys(c.failed, errorHour.compare) {
		s.failed.add(k.sub, k.hour, int64(k.error), c.failed[k])
	}

	if _, err := s.hours.flush(ctx); err != nil {
		return fmt.Errorf("count by hour: %w", err)
	}
	if _, err := s.minutes.flush(ctx); err != nil {
		return fmt.Errorf("count by minute: %w", err)
	}
	if _, err := s.failed.flush(ctx); err != nil {
		return fmt.Errorf("count errors: %w", err)
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
