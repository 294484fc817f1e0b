package deepcall

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/live"
)

// part of what there is now, with one key of a break-down.
type part struct {
	values []string // one for each dimension
	board  live.Board
}

// parts divides what a filter picks. A thing with several values of a dimension,
// such as a call with two agents, is in several parts; one with none is in none.
type parts struct {
	dims   []string
	zone   *time.Location
	b      *live.Board
	by     map[string]*part
	agents map[string]string // names by number
}

const keySeparator = "|" // the contract's

func (p *parts) add(of func(dimension string) []string, put func(*live.Board)) {
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
		one := p.by[key]
		if one == nil {
			one = &part{values: values, board: *p.b}
			one.board.Rows, one.board.Waiting, one.board.Today, one.board.Answered = nil, nil, nil, nil
			p.by[key] = one
		}
		if put != nil {
			put(&one.board)
		}
	}
}

// when is the date or hour of an instant of today.
func (p *parts) when(dimension string, at int64) []string {
	if at < p.b.From || at >= p.b.To {
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

func (p *parts) divide(pick live.Pick) {
	for i := range p.b.Rows {
		r := &p.b.Rows[i]
		if pick.Agent == nil || pick.Agent(r) {
			p.add(func(d string) []string { values, _ := ofAgent(r, d); return values }, func(x *live.Board) { x.Rows = append(x.Rows, *r) })
		}
	}
	for i := range p.b.Waiting {
		w := &p.b.Waiting[i]
		if w.Media == "call" && (pick.Waiting == nil || pick.Waiting(w)) {
			p.add(func(d string) []string {
				if values, has := ofWaiting(p.b, w, d); has {
					return values
				}
				return p.when(d, w.Since)
			}, func(x *live.Board) { x.Waiting = append(x.Waiting, *w) })
		}
	}
	for i := range p.b.Today {
		c := &p.b.Today[i]
		if pick.Call == nil || pick.Call(c) {
			p.add(func(d string) []string {
				if values, has := ofCall(c, d); has {
					return values
				}
				return p.when(d, c.At)
			}, func(x *live.Board) { x.Today = append(x.Today, *c) })
		}
	}
	for i := range p.b.Answered {
		a := &p.b.Answered[i]
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

// rows of a break-down, by key. Those in which all is 0 are left out, unless extra
// asks for the inactive; of hours and days none is.
func (q *counted) rows(b *live.Board, now int64, dims, fields []string) []row {
	p := &parts{dims: dims, zone: q.zone, b: b, by: map[string]*part{}, agents: map[string]string{}}
	p.divide(q.filter.pick(b))
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
	for _, key := range slices.Sorted(maps.Keys(p.by)) {
		one := p.by[key]
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

func (f *figures) empty() bool {
	return !slices.ContainsFunc([]*int64{f.Total, f.Active, f.Wait, f.Talk, f.Handle, f.BreakTime}, func(n *int64) bool { return n != nil && *n != 0 })
}

// label of a row: the date, or its value of the dimension that is to be shown, by
// name where there is one.
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
		if g := p.b.Directory().Group(value); g != nil {
			return cmp.Or(g.Name, value)
		}
	}
	return value
}
