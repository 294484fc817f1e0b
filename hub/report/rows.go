package report

import (
	"cmp"
	"slices"
)

// place is a row: its bucket and its key.
type place struct{ bucket, key int32 }

// rows returns the rows of the page in their order, and how many there are on all pages.
func (e *engine) rows() (page []place, total int) {
	if !e.q.ByKey {
		return e.rowsByTimeOnly()
	}

	// Clocks that go back, and states, come to a bucket again.
	for i := range e.seen {
		slices.Sort(e.seen[i])
		e.seen[i] = slices.Compact(e.seen[i])
		total += len(e.seen[i])
	}
	from := min(e.q.Offset, total)
	to := min(e.q.Offset+e.q.Limit, total)
	if !e.q.ByTime || e.q.KeyFirst {
		return e.rowsByKey(from, to), total
	}
	return e.rowsByTime(from, to), total
}

// rowsByKey returns the rows from <= i < to in the order of keys, then of buckets.
func (e *engine) rowsByKey(from, to int) (page []place) {
	at := 0 // rows of the keys before
	for _, k := range e.order() {
		have := e.seen[k]
		for i := max(0, from-at); i < len(have) && at+i < to; i++ {
			page = append(page, place{bucket: have[i], key: k})
		}
		at += len(have)
	}
	return page
}

// rowsByTime returns the rows from <= i < to in the order of buckets, then of keys.
func (e *engine) rowsByTime(from, to int) (page []place) {
	// First which buckets the page is of: low <= b < high. They lie side by side.
	perBucket := make([]int, e.buckets.len())
	for _, have := range e.seen {
		for _, b := range have {
			perBucket[b]++
		}
	}
	low, high := int32(-1), int32(-1)
	at, before := 0, 0 // rows of the buckets before, and before low
	for b, n := range perBucket {
		if n > 0 && at < to && at+n > from {
			if low < 0 {
				low = int32(b)
				before = at
			}
			high = int32(b) + 1
		}
		at += n
	}
	if low < 0 {
		return nil
	}

	// Then all rows of these buckets, of which the page is a part.
	for _, k := range e.order() {
		i, _ := slices.BinarySearch(e.seen[k], low)
		for ; i < len(e.seen[k]) && e.seen[k][i] < high; i++ {
			page = append(page, place{bucket: e.seen[k][i], key: k})
		}
	}
	slices.SortStableFunc(page, func(x, y place) int { return cmp.Compare(x.bucket, y.bucket) })
	return page[from-before : to-before]
}

// rowsByTimeOnly returns the rows when they are of time only: every bucket that contains at
// least one instant (a change of the clocks can leave one empty), whether or not that
// instant lies in the asked range.
func (e *engine) rowsByTimeOnly() (page []place, total int) {
	exists := make([]bool, e.buckets.len())
	for _, p := range pieces(e.buckets.starts[0], e.buckets.starts[len(exists)], e.q.Zone) {
		for b := e.buckets.at(p.From + p.offset); b < len(exists) && e.buckets.starts[b] < p.To+p.offset; b++ {
			exists[b] = true
		}
	}

	for b, does := range exists {
		if !does {
			continue
		}
		if total >= e.q.Offset && total < e.q.Offset+e.q.Limit {
			page = append(page, place{bucket: int32(b)})
		}
		total++
	}
	return page, total
}

// order returns the keys of the rows in their order.
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

	// Agents are ordered by what is shown of them.
	people := make([]Person, len(e.keys))
	for i, k := range e.keys {
		people[i] = e.person(k)
	}
	slices.SortFunc(nos, func(x, y int32) int {
		a, b := &people[x], &people[y]
		return cmp.Or(cmp.Compare(a.UUID, b.UUID), cmp.Compare(a.Number, b.Number))
	})
	return nos
}

// row returns a row of the page as it is shown.
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

// figures evaluates the query's indicators over a cell.
func (e *engine) figures(c *cell) []string {
	all := make([]string, len(e.q.Indicators))
	for i, ind := range e.q.Indicators {
		all[i] = e.evaluate(&ind.formula, c)
	}
	return all
}
