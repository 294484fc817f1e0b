package report

import (
	"cmp"
	"context"
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/record"
)

// Query is one request for a report. What it asks was checked.
type Query struct {
	Tenant   int64
	Report   *Report
	Kind     Kind
	Only     Flags // In, Out or both: which records of the kind; of no meaning for States
	DateType DateType
	Sunday   bool  // weeks begin on Sunday
	From, To int64 // wall clock in ms, From <= t < To
	Zone     *time.Location
	Now      int64 // Unix ms
	// ByTime and ByKey say what rows are of; neither: only the total is wanted.
	ByTime, ByKey bool
	KeyFirst      bool // of both, how rows are ordered
	// Keys that are wanted, nil: all. They are relay numbers, agentUUIDs, or,
	// with WorkNumbers, the agents' work numbers, or department ids.
	Keys        []string
	WorkNumbers bool
	Indicators  []*Indicator
	Offset      int
	Limit       int
	Settings    Settings
}

// Table is the answer: the rows of one page.
type Table struct {
	Rows   []Row
	Amount []string // figures over all rows of all pages
	Total  int      // rows of all pages
}

// Row of a report. Figures are JSON, in the order of the query's indicators.
type Row struct {
	Date    string // result_date; "" when rows are not of time
	Key     string // relay number, or department id
	Name    string // of the department
	Agent   Person
	Figures []string
}

// Person is what the agent report shows of an agent, and what rows are ordered by.
type Person struct {
	UUID   string
	Number string // work number
	Name   string
}

// Naming is what the newest records say of an agent.
type Naming struct {
	Agent  string // record.AgentKey
	Number string
	Name   string
}

// Facts are those of one tenant, of one state of the store.
type Facts interface {
	// Blocks gives, in the order of time, the blocks of a kind that have facts with
	// a start in a span, and perhaps others.
	Blocks(ctx context.Context, k Kind, in Span, give func(*Block) error) error
	// Lasting gives the state that each agent is in at a time and was in before it.
	Lasting(ctx context.Context, at int64) ([]Fact, error)
	// Namings of all agents, also those without states.
	Namings(ctx context.Context) ([]Naming, error)
}

// Store has the facts.
type Store interface {
	// ReadFacts runs fn on one state of the store, which has all that was accepted
	// before. fn may be run again when the state turns out to have been changing.
	ReadFacts(ctx context.Context, tenant int64, fn func(Facts) error) error
}

// Run makes a report.
func Run(ctx context.Context, s Store, q *Query) (t Table, err error) {
	err = s.ReadFacts(ctx, q.Tenant, func(f Facts) error {
		t, err = newEngine(q, f).run(ctx)
		return err
	})
	return t, err
}

// engine makes one report in two passes over the facts of its range: the first
// finds which rows there are and adds up the total, the second adds up the rows of
// the page. So what it keeps does not grow with what it looks at, but for the rows
// that there are and what distinct counts tell apart.
type engine struct {
	q       *Query
	facts   Facts
	buckets buckets
	people  map[string]Naming // by record.AgentKey
	wanted  map[string]bool   // nil: all keys are

	classes  []Class // with the flags of settings; of each pair the second is Long
	classNos map[Class]int
	counts   []uint8 // by class: which distinct numbers count it
	distinct map[*number]int

	keys   []string
	keyNos map[string]int32

	first  bool // pass
	amount cell
	seen   [][]int32 // by key: buckets that it has facts in, in about their order

	cells []cell      // of the page
	pages []pageCells // by key: which cells of the page are its
}

type place struct{ bucket, key int32 }

// pageCells are the cells of one key on the page, by bucket from low on: one more than
// the index of the cell, 0 where there is none.
type pageCells struct {
	low   int32
	cells []uint16
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
	t.Total = total
	if len(rows) > 0 {
		if err := e.second(ctx, rows); err != nil {
			return t, err
		}
	}
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
	e.cells, e.pages = make([]cell, len(rows)), make([]pageCells, len(e.keys))
	low, high := rows[0].bucket, rows[0].bucket
	for i, r := range rows {
		low, high = min(low, r.bucket), max(high, r.bucket)
		if int(r.key) < len(e.pages) { // else nothing is in any bucket
			e.pages[r.key].put(r.bucket, i)
		}
	}
	from, to := e.q.From, e.q.To
	if e.q.ByTime {
		from, to = max(from, e.buckets.starts[low]), min(to, e.buckets.starts[high+1])
	}
	return e.pass(ctx, pieces(from, to, e.q.Zone))
}

// put a cell; buckets of a key come in order.
func (c *pageCells) put(bucket int32, cell int) {
	if len(c.cells) == 0 {
		c.low = bucket
	}
	for int(bucket-c.low) > len(c.cells) {
		c.cells = append(c.cells, 0)
	}
	c.cells = append(c.cells, uint16(cell+1))
}

func (e *engine) pass(ctx context.Context, all []piece) error {
	if len(all) == 0 {
		return nil
	}
	span := Span{all[0].From, all[len(all)-1].To}
	if e.q.Kind == States {
		if span.To = min(span.To, e.q.Now+1); span.From >= span.To {
			return nil
		}
		lasting, err := e.facts.Lasting(ctx, span.From)
		if err != nil {
			return err
		}
		for i := range lasting {
			f := &lasting[i]
			e.state(all, e.class(f.Class), e.keysOf(f.Key), f.Start, f.End())
		}
	}
	return e.facts.Blocks(ctx, e.q.Kind, span, func(b *Block) error {
		classes, keys := make([]int, len(b.Classes)), make([][]int32, len(b.Keys))
		for i, c := range b.Classes {
			classes[i] = e.class(c)
		}
		for i, k := range b.Keys {
			keys[i] = e.keysOf(k)
		}
		if e.q.Kind == States {
			from, to := b.find(span.From), b.find(span.To)
			for i := from; i < to; i++ {
				e.state(all, classes[b.Class[i]], keys[b.Key[i]], b.Slot+int64(b.Starts[i]), b.Talk[i])
			}
			return ctx.Err()
		}
		for _, p := range all {
			e.records(b, p, classes, keys)
		}
		return ctx.Err()
	})
}

// find is the first fact whose start is not before a time.
func (b *Block) find(at int64) int {
	return sort.Search(len(b.Starts), func(i int) bool { return b.Slot+int64(b.Starts[i]) >= at })
}

// records of a block that lie in a piece of the range: a block is short, so there
// are few buckets in it.
func (e *engine) records(b *Block, p piece, classes []int, keys [][]int32) {
	for from, end := b.find(p.From), b.find(p.To); from < end; {
		bucket, to := int32(0), end
		if e.q.ByTime {
			i := e.buckets.at(b.Slot + int64(b.Starts[from]) + p.offset)
			bucket, to = int32(i), min(end, b.find(e.buckets.starts[i+1]-p.offset))
		}
		for i := from; i < to; i++ {
			class := classes[b.Class[i]]
			ks := keys[b.Key[i]]
			if class < 0 || len(ks) == 0 {
				continue
			}
			if b.Talk[i] >= e.q.Settings.XSeconds {
				class++
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

func (e *engine) count(c *cell, b *Block, i, class int) {
	c.add(class, b.Talk[i], b.Total[i], b.Third[i])
	in := e.counts[class]
	switch {
	case in == 0:
	case e.q.Kind != Parties:
		id := identity{binary.LittleEndian.Uint64(b.Customer[i][:8]), binary.LittleEndian.Uint64(b.Customer[i][8:])}
		if id != (identity{}) { // else without a number
			c.unique.add(id, in)
		}
	case e.classes[class].Flags&Sole != 0: // nothing to tell apart
		for ; in != 0; in &= in - 1 {
			c.unique.counts[bits.TrailingZeros8(in)]++
		}
	default:
		c.unique.add(identity{uint64(b.Third[i])}, in) // the number of its call
	}
}

// note that a row has facts.
func (e *engine) note(bucket, key int32) {
	for int(key) >= len(e.seen) {
		e.seen = append(e.seen, nil)
	}
	if had := e.seen[key]; len(had) == 0 || had[len(had)-1] != bucket {
		e.seen[key] = append(had, bucket)
	}
}

// state of an agent, cut at the borders of the buckets.
func (e *engine) state(all []piece, class int, keys []int32, start, end int64) {
	if class < 0 || len(keys) == 0 || start > e.q.Now {
		return
	}
	flags := e.classes[class].Flags
	in := flags&(Online|Busy|Locked) != 0
	end = min(end, e.q.Now)
	for _, p := range all {
		if flags&(Logins|Logouts|Readies) != 0 && p.From <= start && start < p.To {
			e.instants(flags, keys, e.bucket(start+p.offset), start)
		}
		from, to := max(start, p.From), min(end, p.To)
		if !in || from >= to {
			continue
		}
		if e.first {
			e.amount.add(class, to-from, 0, 0)
		}
		for from < to {
			bucket, until := int32(0), to
			if e.q.ByTime {
				i := e.buckets.at(from + p.offset)
				bucket, until = int32(i), min(to, e.buckets.starts[i+1]-p.offset)
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
}

func (e *engine) bucket(wall int64) int32 {
	if !e.q.ByTime {
		return 0
	}
	return int32(e.buckets.at(wall))
}

func (e *engine) cellAt(bucket, key int32) *cell {
	if int(key) >= len(e.pages) {
		return nil
	}
	p := &e.pages[key]
	if i := bucket - p.low; i >= 0 && int(i) < len(p.cells) && p.cells[i] > 0 {
		return &e.cells[p.cells[i]-1]
	}
	return nil
}

func (e *engine) instants(flags Flags, keys []int32, bucket int32, at int64) {
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

// class is the number of a class with what settings say of it; -1: such facts are
// not asked for.
func (e *engine) class(c Class) int {
	set := &e.q.Settings
	if e.q.Kind == States {
		if slices.Contains(set.ReasonsA, c.Reason) {
			c.Flags |= InA
		}
		if slices.Contains(set.ReasonsB, c.Reason) {
			c.Flags |= InB
		}
		// What no indicator asks for must not make classes without end.
		if c.Reason != 2 && (c.Reason < 11 || c.Reason > 18) {
			c.Reason = 0
		}
		if c.Work < 0 || c.Work > 8 {
			c.Work = 0
		}
	} else if c.Flags&e.q.Only == 0 {
		return -1
	} else {
		c.Flags |= set.route(&c)
		c.Route = ""
	}
	no, there := e.classNos[c]
	if !there {
		no = len(e.classes)
		e.classNos[c] = no
		long := c
		long.Flags |= Long
		for _, c := range []Class{c, long} {
			e.classes = append(e.classes, c)
			var counts uint8
			for n, k := range e.distinct {
				if n.where(c) {
					counts |= 1 << k
				}
			}
			e.counts = append(e.counts, counts)
		}
	}
	return no
}

// route kind of an inbound call, as a flag; at most one.
func (s *Settings) route(c *Class) Flags {
	if c.Flags&(In|Taken) != In|Taken {
		return 0
	}
	if kind, set := s.RouteKinds[c.Route]; set && c.Route != "" {
		return map[RouteKind]Flags{RouteAgent: ToAgent, RouteThird: ToThird, RouteMemory: ToMemory}[kind]
	}
	switch {
	case c.Flags&FirstHere != 0:
		return ToAgent
	case c.Flags&FirstAway != 0:
		return ToThird
	case c.Flags&Sought != 0:
		return ToAgent
	}
	return 0
}

// keysOf a fact: the rows that it counts in, apart from time; none: a filter
// leaves it out.
func (e *engine) keysOf(k Key) []int32 {
	if e.q.Report == Department {
		departments := e.departments(k)
		if e.wanted != nil {
			departments = slices.DeleteFunc(departments, func(d string) bool { return !e.wanted[d] })
		}
		if !e.q.ByKey && len(departments) > 0 {
			return []int32{e.key("")}
		}
		nos := make([]int32, len(departments))
		for i, d := range departments {
			nos[i] = e.key(d)
		}
		return nos
	}
	if e.q.Report == Agent && k.Name == "" {
		return nil // nobody is named
	}
	if e.wanted != nil && !e.wanted[e.filtered(k.Name)] {
		return nil
	}
	if !e.q.ByKey {
		k.Name = ""
	}
	return []int32{e.key(k.Name)}
}

// filtered is what the filter compares of a key; "" matches nothing there.
func (e *engine) filtered(name string) string {
	if e.q.Report != Agent {
		return name
	}
	if e.q.WorkNumbers {
		return e.person(name).Number
	}
	uuid, _ := record.SplitKey(name)
	return uuid
}

func (e *engine) departments(k Key) []string {
	if k.Departments != "" {
		return strings.Split(k.Departments, "|")
	}
	if uuid, _ := record.SplitKey(k.Name); uuid != "" {
		if ids := tidy(e.q.Settings.AgentDepartments[uuid]); len(ids) > 0 {
			return ids
		}
	}
	return []string{""}
}

func (e *engine) key(name string) int32 {
	no, there := e.keyNos[name]
	if !there {
		no = int32(len(e.keys))
		e.keyNos[name] = no
		e.keys = append(e.keys, name)
	}
	return no
}

func (e *engine) person(key string) Person {
	uuid, number := record.SplitKey(key)
	known := e.people[key]
	if number == "" {
		number = known.Number
	}
	return Person{uuid, number, known.Name}
}

// rows of the page in their order, and how many there are on all pages.
func (e *engine) rows() (page []place, total int) {
	if !e.q.ByKey {
		return e.times()
	}
	for i := range e.seen { // clocks that go back, and states, come to a bucket again
		slices.Sort(e.seen[i])
		e.seen[i] = slices.Compact(e.seen[i])
		total += len(e.seen[i])
	}
	order := e.order()
	from, to := min(e.q.Offset, total), min(e.q.Offset+e.q.Limit, total)
	if !e.q.ByTime || e.q.KeyFirst {
		at := 0
		for _, k := range order {
			have := e.seen[k]
			for i := max(0, from-at); i < len(have) && at+i < to; i++ {
				page = append(page, place{have[i], k})
			}
			at += len(have)
		}
		return page, total
	}
	// By time: first which buckets the page is of.
	perBucket := make([]int, e.buckets.len())
	for _, have := range e.seen {
		for _, b := range have {
			perBucket[b]++
		}
	}
	at := 0
	byBucket := map[int32]int{} // rows before it
	for b, n := range perBucket {
		if n > 0 && at < to && at+n > from {
			byBucket[int32(b)] = at
		}
		at += n
	}
	if len(byBucket) == 0 {
		return nil, total
	}
	low := int32(e.buckets.len())
	for b := range byBucket {
		low = min(low, b)
	}
	start := byBucket[low]
	for _, k := range order {
		i, _ := slices.BinarySearch(e.seen[k], low)
		for ; i < len(e.seen[k]); i++ {
			b := e.seen[k][i]
			if _, is := byBucket[b]; !is {
				break
			}
			page = append(page, place{b, k})
		}
	}
	slices.SortStableFunc(page, func(x, y place) int { return cmp.Compare(x.bucket, y.bucket) })
	return page[from-start : to-start], total
}

// times are the rows when they are of time only: every bucket in which there is an
// instant, be it outside of the range.
func (e *engine) times() (page []place, total int) {
	there := make([]bool, e.buckets.len())
	for _, p := range pieces(e.buckets.starts[0], e.buckets.starts[len(there)], e.q.Zone) {
		for b := e.buckets.at(p.From + p.offset); b < len(there) && e.buckets.starts[b] < p.To+p.offset; b++ {
			there[b] = true
		}
	}
	for b, is := range there {
		if !is {
			continue
		}
		if total >= e.q.Offset && total < e.q.Offset+e.q.Limit {
			page = append(page, place{int32(b), 0})
		}
		total++
	}
	return page, total
}

// order of the keys that rows are of.
func (e *engine) order() []int32 {
	nos := make([]int32, 0, len(e.seen))
	for i := range e.seen {
		if len(e.seen[i]) > 0 {
			nos = append(nos, int32(i))
		}
	}
	if e.q.Report != Agent {
		slices.SortFunc(nos, func(x, y int32) int { return cmp.Compare(e.keys[x], e.keys[y]) })
		return nos
	}
	people := make([]Person, len(e.keys))
	for i, k := range e.keys {
		people[i] = e.person(k)
	}
	slices.SortFunc(nos, func(x, y int32) int {
		a, b := people[x], people[y]
		return cmp.Or(cmp.Compare(a.UUID, b.UUID), cmp.Compare(a.Number, b.Number))
	})
	return nos
}

func (e *engine) row(i int, at place) Row {
	r := Row{Figures: e.figures(&e.cells[i])}
	if e.q.ByTime {
		r.Date = e.buckets.label(int(at.bucket))
	}
	if !e.q.ByKey {
		return r
	}
	r.Key = e.keys[at.key]
	switch e.q.Report {
	case Agent:
		r.Agent = e.person(r.Key)
	case Department:
		r.Name = e.q.Settings.DepartmentNames[r.Key]
	}
	return r
}

func (e *engine) figures(c *cell) []string {
	all := make([]string, len(e.q.Indicators))
	for i, ind := range e.q.Indicators {
		all[i] = e.evaluate(&ind.formula, c)
	}
	return all
}
