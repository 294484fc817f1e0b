package report

import "math/bits"

// where reports whether a number counts facts of a class.
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

// figure is what a number adds up of each fact.
type figure uint8

const (
	ones      figure = iota // each counts one
	talk                    // s
	total                   // s
	agentTalk               // s
	elapsed                 // of states, ms
	different               // facts of one identity count once
)

// number is a sum over the facts of a cell, or a difference of two of them.
type number struct {
	of    figure
	where where

	from, less *number // of a difference
}

func count(w where) *number            { return &number{of: ones, where: w} }
func sum(of figure, w where) *number   { return &number{of: of, where: w} }
func distinct(w where) *number         { return &number{of: different, where: w} }
func minus(from, less *number) *number { return &number{from: from, less: less} }
func timeIn(w where) *number           { return &number{of: elapsed, where: w} }

func work(code int64) where { return func(c Class) bool { return c.Work == code } }
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

// formula is what an indicator is made of: the numbers that it takes, and how the result is
// written.
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

// cell is what the facts of a row add up to: sums for each class of facts.
type cell struct {
	sums     []sums
	unique   set // has a subset for each distinct number that is asked for
	instants [instants]int64
}

type sums struct{ n, talk, total, third int64 }

// add adds a fact of a class.
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

// instant adds an instant: of logouts the last counts, of the others the first.
func (c *cell) instant(i int, at int64) {
	was := c.instants[i]
	counts := at < was
	if i == lastLogout {
		counts = at > was
	}
	if was == 0 || counts {
		c.instants[i] = at
	}
}

// evaluate returns an indicator over a cell, as JSON.
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

// number returns a number over a cell.
func (e *engine) number(n *number, c *cell) (sum int64) {
	if n.less != nil {
		return e.number(n.from, c) - e.number(n.less, c)
	}
	if n.of == different {
		if bit, asked := e.distinct[n]; asked {
			sum = c.unique.counts[bit]
		}
		return sum
	}

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
	return sum
}

// identity tells apart what a distinct number counts.
type identity [2]uint64

// set is a hash set of identities, with linear probing: a report puts millions into one. It
// knows of each identity in which of some subsets it is, and of each subset how large it is.
type set struct {
	members []member // some of them empty
	filled  int
	counts  [8]int64 // how large each subset is
}

type member struct {
	id identity
	in uint8 // the subsets, a bit each; 0: the place is empty
}

// add adds an identity to subsets: a bit each, one at least.
func (s *set) add(id identity, to uint8) {
	if 4*(s.filled+1) > 3*len(s.members) {
		s.grow()
	}
	m := s.find(id)
	if m.in == 0 {
		m.id = id
		s.filled++
	}
	for fresh := to &^ m.in; fresh != 0; fresh &= fresh - 1 {
		s.counts[bits.TrailingZeros8(fresh)]++
	}
	m.in |= to
}

// grow makes room: a quarter of the places is always empty.
func (s *set) grow() {
	was := s.members
	s.members = make([]member, max(8, 4*len(was)))
	for _, m := range was {
		if m.in != 0 {
			*s.find(m.id) = m
		}
	}
}

// find returns the place where an identity is, or would be.
func (s *set) find(id identity) *member {
	mask := uint64(len(s.members) - 1)
	h := (id[0] ^ id[1]*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	for i := (h ^ h>>32) & mask; ; i = (i + 1) & mask {
		if m := &s.members[i]; m.in == 0 || m.id == id {
			return m
		}
	}
}
