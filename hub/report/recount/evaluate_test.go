package recount

import (
	"cmp"
	"slices"
	"time"
)

// query is a request whose parameters have been read.
type query struct {
	report     string // relay, agent, department
	zone       string // timezoneid; "": the tenant's
	now        int64  // Unix ms
	dimensions int
	dateType   int
	weekType   int
	start, end wall     // start is in, end is out
	kind       int      // callType or agentReportType; 0: not given
	fields     []string // customerFields
	page, size int64
	only       []string // gatewayNumber, agents or departIds; none: all
	agentType  int      // 1 id, 2 work no.
	scope      int      // numberScope: 2, 3
}

// state of an agent: its three codes.
type state struct{ login, reason, work int64 }

func (s state) loggedIn() bool { return s.login == 1 || s.login == 2 || s.login == 98 }

func (s state) ready() bool { return s.login == 1 && s.work == 1 }

// cell is what a row, or amount, is evaluated from.
type cell struct {
	cfg     config
	pop     population
	mains   []*record
	parties []*record
	spent   map[state]int64 // logged-in ms
	logins  []int64
	readies []int64
	logouts []int64
}

// key of a row. What the dimension does not have is zero.
type key struct {
	bucket     wall
	id, no     string // of relay number, agent or department
	serviceNo  string // of an agent, as shown
	serviceTag string // its name, or the department's
}

// row of the answer, and what it was made from.
type row struct {
	keys  [][2]string // field and value, in the order of the document
	cell  *cell
	value []string // JSON, one for each of the query's fields
}

// answer to a query.
type answer struct {
	rows   []row // of the page
	all    []row // of all pages, without values
	amount row
	total  int
}

// parts of a dimension: which of time and thing (relay number, agent,
// department) it has, and which of them comes first.
func parts(dimension int) (time, thing, timeFirst bool) {
	switch dimension {
	case 1:
		return true, false, true
	case 2, 8, 11:
		return false, true, false
	case 3, 9, 12:
		return true, true, true
	case 4, 10, 13:
		return true, true, false
	}
	panic("dimension")
}

// evaluate a query over all that has arrived.
func evaluate(w *world, cfg config, q query) answer {
	name := q.zone
	if name == "" {
		name = cfg.zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	e := &evaluation{
		w: w, cfg: cfg, q: q, zone: zone, pop: w.telemarketing,
		cells: map[key]*cell{},
	}
	if q.report == "relay" && q.scope == 3 {
		e.pop = w.bot
	}
	e.amount = e.newCell()
	hasTime, hasThing, _ := parts(q.dimensions)
	if hasTime && !hasThing {
		for _, b := range buckets(q.start, q.end, q.dateType, q.weekType, zone) {
			e.cells[key{bucket: b}] = e.newCell()
		}
	}
	switch {
	case q.report == "relay":
		e.relay()
	case q.report == "agent" && q.kind == 4:
		e.status()
	default:
		e.parties()
	}
	return e.answer()
}

type evaluation struct {
	w      *world
	cfg    config
	q      query
	zone   *time.Location
	pop    population
	cells  map[key]*cell
	amount *cell
}

func (e *evaluation) newCell() *cell {
	return &cell{cfg: e.cfg, pop: e.pop, spent: map[state]int64{}}
}

func (e *evaluation) inRange(w wall) bool { return e.q.start <= w && w < e.q.end }

// in are the cells of what happened at w and belongs to things: one each, and amount.
func (e *evaluation) in(w wall, things ...key) []*cell {
	hasTime, hasThing, _ := parts(e.q.dimensions)
	var at wall
	if hasTime {
		at, _ = bucket(w, e.q.dateType, e.q.weekType)
	}
	if !hasThing {
		things = []key{{}} // once, however many things list it
	}
	all := []*cell{e.amount}
	for _, k := range things {
		k.bucket = at
		if e.cells[k] == nil {
			e.cells[k] = e.newCell()
		}
		all = append(all, e.cells[k])
	}
	return all
}

func (e *evaluation) listed(id string) bool {
	return len(e.q.only) == 0 || slices.Contains(e.q.only, id)
}

// relay number report: main CDRs (5.2).
func (e *evaluation) relay() {
	for _, main := range e.pop.mains {
		callType, number := main.code("callType", 0), main.text("gatewayNumber")
		w := wallAt(main.instant("startTime"), e.zone)
		if callType != 2 && callType != 3 || e.q.kind != 0 && callType != int64(e.q.kind) || !e.inRange(w) ||
			!e.listed(number) {
			continue
		}
		for _, c := range e.in(w, key{id: number}) {
			c.mains = append(c.mains, main)
		}
	}
}

// thing is an agent as a key, and whether the filter lets it pass.
func (e *evaluation) agent(who agent) (key, bool) {
	k := key{id: who.uuid, no: who.no, serviceNo: e.w.shown(who, "agentID"), serviceTag: e.w.shown(who, "agentName")}
	id := k.id
	if e.q.agentType == 2 {
		id = k.serviceNo
	}
	return k, e.listed(id)
}

// parties are counted by agent and department reports (5.2).
func (e *evaluation) parties() {
	for _, legs := range e.pop.parties {
		for _, p := range legs {
			w := wallAt(p.instant("startTime"), e.zone)
			if p.role() != 2 || e.pop.direction(p) != int64(e.q.kind) || !e.inRange(w) {
				continue
			}
			switch d := p.dialType(); {
			case e.q.kind == 2 && (d == 1 || d == 2 || d == 3 || d == 5):
			case e.q.kind == 3 && d == 1:
			default:
				continue
			}
			var things []key
			if e.q.report == "agent" {
				who, ok := p.agent()
				k, passes := e.agent(who)
				if !ok || !passes {
					continue
				}
				things = []key{k}
			} else {
				for _, id := range e.cfg.departments(p) {
					if e.listed(id) {
						things = append(things, key{id: id, serviceTag: e.cfg.departmentNames[id]})
					}
				}
				if len(things) == 0 {
					continue
				}
			}
			for _, c := range e.in(w, things...) {
				c.parties = append(c.parties, p)
			}
		}
	}
}

// status time and instants (7).
func (e *evaluation) status() {
	for who, changes := range e.w.status {
		k, passes := e.agent(who)
		if !passes {
			continue
		}
		var is state
		for i, change := range changes {
			was, from := is, change.instant("startTime")
			is.login = change.code("loginStatus", is.login)
			is.reason = change.code("notReadyStatus", change.code("noReadyStatus", is.reason))
			is.work = change.code("workStatus", is.work)

			if w := wallAt(from, e.zone); from <= e.q.now && e.inRange(w) {
				if !was.loggedIn() && is.loggedIn() {
					for _, c := range e.in(w, k) {
						c.logins = append(c.logins, from)
					}
				}
				if was.loggedIn() && !is.loggedIn() {
					for _, c := range e.in(w, k) {
						c.logouts = append(c.logouts, from)
					}
				}
				if is.ready() && !was.ready() {
					for _, c := range e.in(w, k) {
						c.readies = append(c.readies, from)
					}
				}
			}

			to := e.q.now
			if i+1 < len(changes) {
				to = min(to, changes[i+1].instant("startTime"))
			}
			if is.loggedIn() {
				e.spend(k, is, from, to)
			}
		}
	}
}

// spend adds the time from..to in a state, cut at the borders of the range, of
// the buckets, and where the clock is set.
func (e *evaluation) spend(k key, is state, from, to int64) {
	from, to = max(from, int64(e.q.start)-around), min(to, int64(e.q.end)+around)
	for _, s := range stretches(from, to, e.zone) {
		a, b := max(wall(s.from)+s.offset, e.q.start), min(wall(s.to)+s.offset, e.q.end)
		for a < b {
			_, border := bucket(a, e.q.dateType, e.q.weekType)
			until := min(b, border)
			for _, c := range e.in(a, k) {
				c.spent[is] += int64(until - a)
			}
			a = until
		}
	}
}

// answer puts rows in order, cuts the page and evaluates what is asked for.
func (e *evaluation) answer() answer {
	hasTime, hasThing, timeFirst := parts(e.q.dimensions)
	keys := make([]key, 0, len(e.cells))
	for k := range e.cells {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int {
		byTime := cmp.Compare(a.bucket, b.bucket)
		// For an agent without UUID no and serviceNo are the same.
		byThing := cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.serviceNo, b.serviceNo))
		if timeFirst {
			return cmp.Or(byTime, byThing)
		}
		return cmp.Or(byThing, byTime)
	})
	out := answer{amount: row{cell: e.amount}, total: len(keys)}
	for _, k := range keys {
		r := row{cell: e.cells[k]}
		var thing [][2]string
		if hasThing {
			switch e.q.report {
			case "relay":
				thing = [][2]string{{"gateway_number", k.id}}
			case "agent":
				thing = [][2]string{{"serviceId", k.id}, {"serviceNo", k.serviceNo}, {"serviceName", k.serviceTag}}
			case "department":
				thing = [][2]string{{"departId", k.id}, {"departName", k.serviceTag}}
			}
		}
		var at [][2]string
		if hasTime {
			at = [][2]string{{"result_date", label(k.bucket, e.q.dateType, e.q.weekType)}}
		}
		if timeFirst {
			r.keys = append(at, thing...)
		} else {
			r.keys = append(thing, at...)
		}
		out.all = append(out.all, r)
	}
	for i := range out.all {
		n := int64(i + 1) // (page-1)*size+1 <= n <= page*size, without overflow
		if (n-1)/e.q.size == e.q.page-1 {
			r := out.all[i]
			e.evaluate(&r)
			out.rows = append(out.rows, r)
		}
	}
	e.evaluate(&out.amount)
	return out
}

func (e *evaluation) evaluate(r *row) {
	for _, name := range e.q.fields {
		r.value = append(r.value, formulas[e.q.report][name](r.cell))
	}
}
