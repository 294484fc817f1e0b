package deepcall

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/live"
)

// part is the part of the board that has one key of a break-down.
type part struct {
	values []string // one for each dimension
	board  live.Board
}

// parts divides what a filter picks. A thing with several values of a dimension, such as a
// call with two agents, is in several parts; a thing without a value is in no part.
type parts struct {
	dims   []string
	zone   *time.Location
	board  *live.Board
	byKey  map[string]*part
	agents map[string]string // names by number
}

const keySeparator = "|" // as the contract says

// add puts a thing into the parts of its values. of returns the values of a dimension. put
// adds the thing to a part; nil: the parts shall only exist.
func (p *parts) add(of func(dimension string) []string, put func(*live.Board)) {
	// The thing has each combination of one value of every dimension.
	combined := [][]string{nil}
	for _, d := range p.dims {
		var next [][]string
		for _, v := range of(d) {
			for _, c := range combined {
				next = append(next, append(slices.Clip(c), v))
			}
		}
		combined = next
	}

	seen := map[string]bool{}
	for _, values := range combined {
		key := strings.Join(values, keySeparator)
		if seen[key] {
			continue
		}
		seen[key] = true

		one := p.byKey[key]
		if one == nil {
			one = &part{values: values, board: *p.board}
			one.board.Rows, one.board.Waiting, one.board.Today, one.board.Answered = nil, nil, nil, nil
			p.byKey[key] = one
		}

		if put != nil {
			put(&one.board)
		}
	}
}

// when returns the date or the hour of an instant, if it is one of today.
func (p *parts) when(dimension string, at int64) []string {
	if at < p.board.From || at >= p.board.To {
		return nil
	}
	switch wall := time.UnixMilli(at).In(p.zone); dimension {
	case "date":
		return []string{wall.Format(time.DateOnly)}
	case "hour":
		return []string{wall.Format("15")}
	}
	return nil
}

// divide puts everything on the board that pick wants into its parts.
func (p *parts) divide(pick live.Pick) {
	for i := range p.board.Rows {
		r := &p.board.Rows[i]
		if pick.Agent == nil || pick.Agent(r) {
			p.add(func(d string) []string {
				values, _ := ofAgent(r, d)
				return values
			}, func(x *live.Board) { x.Rows = append(x.Rows, *r) })
		}
	}

	for i := range p.board.Waiting {
		w := &p.board.Waiting[i]
		if w.Media == "call" && (pick.Waiting == nil || pick.Waiting(w)) {
			p.add(func(d string) []string {
				if values, has := ofWaiting(p.board, w, d); has {
					return values
				}
				return p.when(d, w.Since)
			}, func(x *live.Board) { x.Waiting = append(x.Waiting, *w) })
		}
	}

	for i := range p.board.Today {
		c := &p.board.Today[i]
		if pick.Call == nil || pick.Call(c) {
			p.add(func(d string) []string {
				if values, has := ofCall(c, d); has {
					return values
				}
				return p.when(d, c.At)
			}, func(x *live.Board) { x.Today = append(x.Today, *c) })
		}
	}

	for i := range p.board.Answered {
		a := &p.board.Answered[i]
		if pick.Answered == nil || pick.Answered(a) {
			p.add(func(d string) []string {
				if values, has := ofAnswered(a, d); has {
					return values
				}
				return p.when(d, a.At)
			}, func(x *live.Board) { x.Answered = append(x.Answered, *a) })
		}
	}
}

// rows returns the rows of a break-down, by key. It leaves out rows in which every figure is
// 0, unless extra asks for the inactive ones, or the rows are all hours or all days.
func (q *queueQuery) rows(b *live.Board, now int64, dims, fields []string) []row {
	p := &parts{dims: dims, zone: q.zone, board: b, byKey: map[string]*part{}, agents: map[string]string{}}
	p.divide(q.filter.pick(b))

	// Some rows are there although nothing happened in them.
	keep := q.inactive
	if slices.Equal(dims, []string{"hour"}) || slices.Equal(dims, []string{"date"}) {
		keep = true
		for at := b.From; at <= now && at < b.To; at += time.Hour.Milliseconds() / 2 { // zones change by half hours, too
			p.add(func(d string) []string { return p.when(d, at) }, nil)
		}
	}
	if q.inactive && len(q.filter) == 0 && slices.Equal(dims, []string{"groupId"}) {
		for _, g := range b.Directory().Groups() {
			p.add(func(string) []string { return []string{g.GroupID} }, nil)
		}
	}

	if q.display == "agentId" {
		for i := range b.Rows {
			p.agents[number(&b.Rows[i])] = b.Rows[i].Name
		}
	}

	all := []row{}
	for _, key := range slices.Sorted(maps.Keys(p.byKey)) {
		one := p.byKey[key]
		n := one.board.CountQueue(now, live.Pick{})
		r := row{Key: key, figures: pickFigures(&n, fields)}
		if !keep && r.empty() {
			continue
		}

		if q.display != "" {
			r.Label = new(p.label(q.display, one, now))
		}
		all = append(all, r)
	}
	return all
}

// empty reports whether every figure is 0 or left out.
func (f *figures) empty() bool {
	all := []*int64{f.Total, f.Active, f.Wait, f.Talk, f.Handle, f.BreakTime}
	return !slices.ContainsFunc(all, func(n *int64) bool { return n != nil && *n != 0 })
}

// label returns the label of a row: the date, or the row's value of the dimension to show,
// by name if it has one.
func (p *parts) label(display string, one *part, now int64) string {
	if display == "date" {
		return time.UnixMilli(now).In(p.zone).Format(time.DateOnly)
	}

	i := slices.Index(p.dims, display)
	if i < 0 {
		return ""
	}

	value := one.values[i]
	switch display {
	case "agentId":
		return cmp.Or(p.agents[value], value)
	case "groupId":
		if g := p.board.Directory().Group(value); g != nil {
			return cmp.Or(g.Name, value)
		}
	}
	return value
}
