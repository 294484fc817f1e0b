package report

import (
	"context"
	"encoding/binary"
	"math/bits"
	"sort"
)

// engine makes one report in two passes over the facts of its range: the first finds which
// rows there are and adds up the total, the second adds up the rows of the page. So what it
// keeps does not grow with what it looks at, except for the rows that there are and what
// distinct counts tell apart.
//
// classes.go says what a fact counts as and in which rows, rows.go which rows there are and
// how they look. This file adds up.
type engine struct {
	q       *Query
	facts   Facts
	buckets buckets
	people  map[string]Naming // by record.AgentKey
	wanted  map[string]bool   // keys that the query picks; nil: all

	// Classes have the flags of settings. They come in pairs, of which the second is Long.
	classes  []Class
	classNos map[Class]int
	counts   []uint8         // by class: which distinct numbers count it, a bit each
	distinct map[*number]int // their bits

	keys   []string
	keyNos map[string]int32

	first  bool // which pass it is
	amount cell
	seen   [][]int32 // by key: buckets in which it has facts, almost in their order

	cells []cell      // of the page
	pages []pageCells // by key: which cells of the page it has
}

func newEngine(q *Query, f Facts) *engine {
	e := &engine{
		q: q, facts: f, buckets: newBuckets(q.DateType, q.Sunday, q.From, q.To),
		classNos: map[Class]int{}, distinct: map[*number]int{}, keyNos: map[string]int32{},
	}
	if q.Keys != nil {
		e.wanted = map[string]bool{}
		for _, k := range q.Keys {
			e.wanted[k] = true
		}
	}

	// Each distinct number that an indicator takes gets a bit.
	var note func(n *number)
	note = func(n *number) {
		if n == nil {
			return
		}
		if _, there := e.distinct[n]; n.of == different && n.less == nil && !there {
			e.distinct[n] = len(e.distinct)
		}
		note(n.from)
		note(n.less)
	}
	for _, i := range q.Indicators {
		note(i.formula.a)
		note(i.formula.b)
	}
	return e
}

func (e *engine) run(ctx context.Context) (t Table, err error) {
	if e.q.Report == Agent && (e.q.ByKey || e.q.WorkNumbers && e.wanted != nil) {
		all, err := e.facts.Namings(ctx)
		if err != nil {
			return t, err
		}
		e.people = make(map[string]Naming, len(all))
		for _, n := range all {
			e.people[n.Agent] = n
		}
	}

	e.first = true
	if err := e.pass(ctx, pieces(e.q.From, e.q.To, e.q.Zone)); err != nil {
		return t, err
	}
	rows, total := e.rows()
	if len(rows) > 0 {
		if err := e.second(ctx, rows); err != nil {
			return t, err
		}
	}

	t.Total = total
	t.Amount = e.figures(&e.amount)
	t.Rows = make([]Row, len(rows))
	for i, at := range rows {
		t.Rows[i] = e.row(i, at)
	}
	return t, nil
}

// second adds up the rows of the page, from the facts of their time.
func (e *engine) second(ctx context.Context, rows []place) error {
	e.first = false
	e.cells = make([]cell, len(rows))
	e.pages = make([]pageCells, len(e.keys))
	low, high := rows[0].bucket, rows[0].bucket
	for i, r := range rows {
		low, high = min(low, r.bucket), max(high, r.bucket)
		if int(r.key) < len(e.pages) { // without any key there are no facts
			e.pages[r.key].put(r.bucket, i)
		}
	}

	from, to := e.q.From, e.q.To
	if e.q.ByTime {
		from = max(from, e.buckets.starts[low])
		to = min(to, e.buckets.starts[high+1])
	}
	return e.pass(ctx, pieces(from, to, e.q.Zone))
}

// pageCells are the cells of one key on the page, by bucket from low on: one more than the
// index of the cell, 0 where there is none.
type pageCells struct {
	low   int32
	cells []uint16
}

// put sets the cell of a bucket. Buckets of a key come in order.
func (c *pageCells) put(bucket int32, cell int) {
	if len(c.cells) == 0 {
		c.low = bucket
	}
	for int(bucket-c.low) > len(c.cells) {
		c.cells = append(c.cells, 0)
	}
	c.cells = append(c.cells, uint16(cell+1))
}

// cellAt returns the cell of a bucket and key; nil: it is not on the page.
func (e *engine) cellAt(bucket, key int32) *cell {
	if int(key) >= len(e.pages) {
		return nil
	}
	p := &e.pages[key]
	i := bucket - p.low
	if i < 0 || int(i) >= len(p.cells) || p.cells[i] == 0 {
		return nil
	}
	return &e.cells[p.cells[i]-1]
}

// pass goes over the facts of a range, which is in pieces.
func (e *engine) pass(ctx context.Context, all []piece) error {
	if len(all) == 0 {
		return nil
	}
	span := Span{all[0].From, all[len(all)-1].To}
	if e.q.Kind == States {
		return e.passStates(ctx, all, span)
	}
	return e.facts.Blocks(ctx, e.q.Kind, span, func(b *Block) error {
		classes, keys := e.numbersOf(b)
		for _, p := range all {
			e.addRecords(b, p, classes, keys)
		}
		return ctx.Err()
	})
}

// passStates goes over the states of a range: first those that began before it.
func (e *engine) passStates(ctx context.Context, all []piece, span Span) error {
	span.To = min(span.To, e.q.Now+1)
	if span.From >= span.To {
		return nil
	}
	lasting, err := e.facts.Lasting(ctx, span.From)
	if err != nil {
		return err
	}
	for i := range lasting {
		f := &lasting[i]
		e.addState(all, e.class(f.Class), e.keysOf(f.Key), f.Start, f.End())
	}

	return e.facts.Blocks(ctx, e.q.Kind, span, func(b *Block) error {
		classes, keys := e.numbersOf(b)
		for i := b.find(span.From); i < b.find(span.To); i++ {
			e.addState(all, classes[b.Class[i]], keys[b.Key[i]], b.Slot+int64(b.Starts[i]), b.Talk[i])
		}
		return ctx.Err()
	})
}

// numbersOf returns the engine's numbers of the classes and keys of a block.
func (e *engine) numbersOf(b *Block) (classes []int, keys [][]int32) {
	classes = make([]int, len(b.Classes))
	for i, c := range b.Classes {
		classes[i] = e.class(c)
	}
	keys = make([][]int32, len(b.Keys))
	for i, k := range b.Keys {
		keys[i] = e.keysOf(k)
	}
	return classes, keys
}

// find returns the index of the first fact whose start is not before a time.
func (b *Block) find(at int64) int {
	return sort.Search(len(b.Starts), func(i int) bool { return b.Slot+int64(b.Starts[i]) >= at })
}

// addRecords adds the records of a block that lie in a piece of the range, bucket by bucket:
// a block is short, so there are few buckets in it.
func (e *engine) addRecords(b *Block, p piece, classes []int, keys [][]int32) {
	for from, end := b.find(p.From), b.find(p.To); from < end; {
		bucket, to := int32(0), end
		if e.q.ByTime {
			i := e.buckets.at(b.Slot + int64(b.Starts[from]) + p.offset)
			bucket = int32(i)
			to = min(end, b.find(e.buckets.starts[i+1]-p.offset))
		}

		for i := from; i < to; i++ {
			class := classes[b.Class[i]]
			ks := keys[b.Key[i]]
			if class < 0 || len(ks) == 0 {
				continue
			}
			if b.Talk[i] >= e.q.Settings.XSeconds {
				class++ // to the Long one of the pair
			}
			if e.first {
				e.count(&e.amount, b, i, class)
				for _, k := range ks {
					e.note(bucket, k)
				}
				continue
			}
			for _, k := range ks {
				if c := e.cellAt(bucket, k); c != nil {
					e.count(c, b, i, class)
				}
			}
		}
		from = to
	}
}

// count adds a record to a cell.
func (e *engine) count(c *cell, b *Block, i, class int) {
	c.add(class, b.Talk[i], b.Total[i], b.Third[i])

	// And to the distinct numbers that count it: calls by customer, parties by call.
	in := e.counts[class]
	switch {
	case in == 0:
	case e.q.Kind != Parties:
		customer := &b.Customer[i]
		id := identity{binary.LittleEndian.Uint64(customer[:8]), binary.LittleEndian.Uint64(customer[8:])}
		if id != (identity{}) { // a call without a number counts for no customer
			c.unique.add(id, in)
		}
	case e.classes[class].Flags&Sole != 0: // no other party of its call is there: no need to tell calls apart
		for ; in != 0; in &= in - 1 {
			c.unique.counts[bits.TrailingZeros8(in)]++
		}
	default:
		c.unique.add(identity{uint64(b.Third[i])}, in) // the number of its call
	}
}

// note notes that a row has facts.
func (e *engine) note(bucket, key int32) {
	for int(key) >= len(e.seen) {
		e.seen = append(e.seen, nil)
	}
	had := e.seen[key]
	if len(had) == 0 || had[len(had)-1] != bucket {
		e.seen[key] = append(had, bucket)
	}
}

// addState adds a state of an agent, cut at the borders of the buckets. It may last beyond
// now, up to which it is counted.
func (e *engine) addState(all []piece, class int, keys []int32, start, end int64) {
	if class < 0 || len(keys) == 0 || start > e.q.Now {
		return
	}
	flags := e.classes[class].Flags
	loggedIn := flags&(Online|Busy|Locked) != 0
	end = min(end, e.q.Now)
	for _, p := range all {
		if flags&(Logins|Logouts|Readies) != 0 && p.From <= start && start < p.To {
			e.addInstants(flags, keys, e.bucket(start+p.offset), start)
		}
		from, to := max(start, p.From), min(end, p.To)
		if loggedIn && from < to {
			e.addTime(class, keys, p, from, to)
		}
	}
}

// addTime adds the time for which a state lasts in a piece of the range.
func (e *engine) addTime(class int, keys []int32, p piece, from, to int64) {
	if e.first {
		e.amount.add(class, to-from, 0, 0)
	}
	for from < to {
		bucket, until := int32(0), to
		if e.q.ByTime {
			i := e.buckets.at(from + p.offset)
			bucket = int32(i)
			until = min(to, e.buckets.starts[i+1]-p.offset)
		}
		for _, k := range keys {
			if e.first {
				e.note(bucket, k)
			} else if c := e.cellAt(bucket, k); c != nil {
				c.add(class, until-from, 0, 0)
			}
		}
		from = until
	}
}

// bucket returns the bucket of a wall clock; 0 if rows are not of time.
func (e *engine) bucket(wall int64) int32 {
	if !e.q.ByTime {
		return 0
	}
	return int32(e.buckets.at(wall))
}

// addInstants adds what happened when a state began.
func (e *engine) addInstants(flags Flags, keys []int32, bucket int32, at int64) {
	mark := func(c *cell) {
		for i, f := range [instants]Flags{firstLogin: Logins, firstReady: Readies, lastLogout: Logouts} {
			if flags&f != 0 {
				c.instant(i, at)
			}
		}
	}
	if e.first {
		mark(&e.amount)
	}
	for _, k := range keys {
		if e.first {
			e.note(bucket, k)
		} else if c := e.cellAt(bucket, k); c != nil {
			mark(c)
		}
	}
}
