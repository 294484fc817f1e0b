package report

import "math/bits"

// where says which facts a number counts.
type where func(Class) bool

func all(f Flags) where  { return func(c Class) bool { return c.Flags&f == f } }
func some(f Flags) where { return func(c Class) bool { return c.Flags&f != 0 } }
func not(w where) where  { return func(c Class) bool { return !w(c) } }

func and(ws ...where) where {
	return func(c Class) bool {
		for _, w := range ws {
			if !w(c) {
				return false
			}
		}
		return true
	}
}

func or(ws ...where) where {
	return func(c Class) bool {
		for _, w := range ws {
			if w(c) {
				return true
			}
		}
		return false
	}
}

// figure of a fact that a number adds up.
type figure uint8

const (
	ones      figure = iota // each counts one
	talk                    // s
	total                   // s
	agentTalk               // s
	elapsed                 // of states, ms
	different               // what is told apart by its identity counts once
)

// number is a sum over the facts of a cell.
type number struct {
	of    figure
	where where
	// Of those that are a difference.
	from, less *number
}

func count(w where) *number            { return &number{of: ones, where: w} }
func sum(of figure, w where) *number   { return &number{of: of, where: w} }
func distinct(w where) *number         { return &number{of: different, where: w} }
func minus(from, less *number) *number { return &number{from: from, less: less} }
func timeIn(w where) *number           { return &number{of: elapsed, where: w} }
func work(code int64) where            { return func(c Class) bool { return c.Work == code } }
func reason(low, high int64) where {
	return func(c Class) bool { return c.Reason >= low && c.Reason <= high }
}
func value(n *number) formula          { return formula{as: wholeNumber, a: n} }
func averageOf(sum, n *number) formula { return formula{as: averageNumber, a: sum, b: n} }
func percentOf(part, base *number) formula {
	return formula{as: percentNumber, a: part, b: base}
}
func secondsOf(n *number) formula { return formula{as: secondsNumber, a: n} }
func instantOf(i int) formula     { return formula{as: instantNumber, instant: i} }

// formula of an indicator: what numbers it takes, and how it is written.
type formula struct {
	as      form
	a, b    *number
	instant int // index of cell.instants
}

type form uint8

const (
	wholeNumber form = iota
	averageNumber
	percentNumber
	secondsNumber // a is in ms
	instantNumber
)

// Instants of a cell.
const (
	firstLogin = iota
	firstReady
	lastLogout
	instants
)

// cell is what the facts of a row come to: figures of each class of facts.
type cell struct {
	sums     []sums
	unique   set // a subset for each distinct number that is asked for
	instants [instants]int64
}

type sums struct{ n, talk, total, third int64 }

// add a fact of a class.
func (c *cell) add(class int, talk, total, third int64) {
	for class >= len(c.sums) {
		c.sums = append(c.sums, sums{})
	}
	s := &c.sums[class]
	s.n++
	s.talk += talk
	s.total += total
	s.third += third
}

func (c *cell) instant(i int, at int64) {
	if was := c.instants[i]; was == 0 || i == lastLogout && at > was || i != lastLogout && at < was {
		c.instants[i] = at
	}
}

// evaluate an indicator over a cell; the answer is JSON.
func (e *engine) evaluate(f *formula, c *cell) string {
	switch f.as {
	case averageNumber:
		return average(e.number(f.a, c), e.number(f.b, c))
	case percentNumber:
		return percent(e.number(f.a, c), e.number(f.b, c))
	case secondsNumber:
		return seconds(e.number(f.a, c))
	case instantNumber:
		return instant(c.instants[f.instant])
	}
	return whole(e.number(f.a, c))
}

func (e *engine) number(n *number, c *cell) (sum int64) {
	if n.less != nil {
		return e.number(n.from, c) - e.number(n.less, c)
	}
	if n.of == different {
		if i, asked := e.distinct[n]; asked {
			sum = c.unique.counts[i]
		}
	} else {
		for i := range c.sums {
			s := &c.sums[i]
			if s.n == 0 || !n.where(e.classes[i]) {
				continue
			}
			switch n.of {
			case ones:
				sum += s.n
			case total:
				sum += s.total
			case agentTalk:
				sum += s.third
			default:
				sum += s.talk
			}
		}
	}
	return sum
}

// identity of what a distinct number counts.
type identity [2]uint64

// set of identities, with linear probing: a report puts millions into one. Of each
// it knows in which of some subsets it is, and of each subset how large it is.
type set struct {
	places []member
	used   int
	counts [8]int64 // of the subsets
}

type member struct {
	id identity
	in uint8 // subsets, a bit each; 0: an empty place
}

// add an identity to subsets, a bit each, not none.
func (s *set) add(id identity, to uint8) {
	if 4*(s.used+1) > 3*len(s.places) {
		was := s.places
		s.places = make([]member, max(8, 4*len(was)))
		for _, m := range was {
			if m.in != 0 {
				*s.place(m.id) = m
			}
		}
	}
	m := s.place(id)
	if m.in == 0 {
		m.id = id
		s.used++
	}
	for fresh := to &^ m.in; fresh != 0; fresh &= fresh - 1 {
		s.counts[bits.TrailingZeros8(fresh)]++
	}
	m.in |= to
}

// place where an identity is, or would be.
func (s *set) place(id identity) *member {
	mask := uint64(len(s.places) - 1)
	h := (id[0] ^ id[1]*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	for i := (h ^ h>>32) & mask; ; i = (i + 1) & mask {
		if m := &s.places[i]; m.in == 0 || m.id == id {
			return m
		}
	}
}
