package recount

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// zones whose clocks do what others do not: half and quarter hours, changes at
// midnight and a minute past, by half an hour and two, a day that never was.
var zones = []string{
	"America/New_York", "Europe/London", "Europe/Berlin", "Australia/Lord_Howe", "America/Caracas", "Asia/Pyongyang",
	"America/St_Johns",
	"Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Tehran", "Antarctica/Troll", "Asia/Beirut",
	"America/Havana",
	"Atlantic/Azores", "Pacific/Chatham", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Singapore", "UTC", "Etc/GMT+8",
}

// change of an agent's status.
type change struct {
	agent agent
	start int64
}

// random makes the events, settings and requests of one tenant, all from its seed.
type random struct {
	*rand.Rand
	zone    string
	loc     *time.Location
	anchor  int64            // about when it happens, Unix ms; often when the clock is set
	events  int              // made so far
	moments []int64          // of records so far
	changes []change         // of status so far
	begun   map[string]int64 // when a party of a call began
	sent    []string

	agents      []agent
	departments []string
	numbers     []string
	customers   []string
	routes      []string
}

func newRandom(seed uint64) *random {
	g := &random{Rand: rand.New(rand.NewPCG(seed, 14)), begun: map[string]int64{}}
	g.zone = one(g, zones)
	loc, err := time.LoadLocation(g.zone)
	if err != nil {
		panic(err)
	}
	g.loc = loc
	at := time.Date(2001+g.IntN(36), time.Month(1+g.IntN(12)), 1+g.IntN(28), g.IntN(24), g.IntN(60), g.IntN(60), 0, loc)
	if g.chance(5) {
		at = at.AddDate(50, 0, 0)
	}
	if _, change := at.ZoneBounds(); g.chance(75) && !change.IsZero() && change.Year() < 2095 {
		at = change
	}
	if g.chance(5) { // days of which Go's ZoneBounds says odd things
		at = one(g,
			[]time.Time{
				time.Unix(1<<31, 0), time.Date(2040, 12, 31, 12, 0, 0, 0, time.UTC), time.Date(2096, 12, 31, 1, 0, 0, 0, time.UTC),
			})
	}
	g.anchor = at.UnixMilli()
	// Sorted by bytes, not as people sort; a UUID that looks like a number; blanks
	// that are no blanks to the contract.
	g.agents = []agent{
		{"u1", "1001"},
		{"u2", "1002"},
		{"U3", "1001"},
		{"é4", "1004"},
		{"1005", "9"},
		{"", "1005"},
		{"", "1002"},
		{"u-8", ""},
	}
	if g.chance(15) { // of whom more is known
		g.agents = g.agents[:1]
	}
	g.departments = []string{"d1", "d2", "D3", "ä4", "d,5", "10", "9"}
	g.numbers = []string{"01088881234", "01088885678", "1088885678", "+86 10", "", "Z", "a", "é", "\u00a01"}
	g.customers = []string{"13800000001", "13800000002", "13800000003", "13800000004", "+8613800000001", ""}
	g.routes = []string{"r1", "r2", "r3", "r4", ""}
	return g
}

// chance of n in a hundred.
func (g *random) chance(n int) bool { return g.IntN(100) < n }

func one[T any](g *random, of []T) T { return of[g.IntN(len(of))] }

// up to n-1, as int64.
func (g *random) upTo(n int64) int64 { return g.Int64N(n) }

// moment near the anchor; often on the border of a half hour, to the millisecond.
func (g *random) moment() int64 {
	const h = int64(hour)
	if len(g.moments) > 0 && g.chance(20) { // of several records at once
		return one(g, g.moments[max(0, len(g.moments)-40):])
	}
	t := g.anchor
	switch n := g.IntN(100); {
	case n < 55:
		t += g.upTo(8*h) - 4*h
	case n < 88:
		t += g.upTo(72*h) - 36*h
	case n < 97:
		t += g.upTo(80*24*h) - 40*24*h
	default:
		t += g.upTo(800*24*h) - 400*24*h
	}
	if g.chance(40) {
		w := wallAt(t, g.loc)
		t -= int64(w % (30 * minute))
		t += g.upTo(3) - 1
	}
	t = max(t, 1)
	g.moments = append(g.moments, t)
	return t
}

// body is written member by member, in one of the ways in which platforms write.
type body struct {
	g *random
	m map[string]any
}

func (b body) null(name string) {
	if b.g.chance(30) {
		b.m[name] = nil
	}
}

func (b body) integer(name string, n int64) {
	switch {
	case n >= 0 && b.g.chance(12):
		b.m[name] = b.g.padded(fmt.Sprint(n))
	default:
		b.m[name] = n
	}
}

func (b body) text(name, s string) {
	switch {
	case s == "":
		b.null(name)
		if b.g.chance(30) {
			b.m[name] = one(b.g, []string{"", " ", " \t"})
		}
	case s[0] >= '1' && s[0] <= '9' && strings.Trim(s, "0123456789") == "" && b.g.chance(15):
		b.m[name] = json.Number(s)
	default:
		b.m[name] = b.g.padded(s)
	}
}

// padded has blanks around it, now and then.
func (g *random) padded(s string) string {
	if g.chance(8) {
		return one(g, []string{" ", "\t", "\r\n", ""}) + s + one(g, []string{" ", "\n", ""})
	}
	return s
}

// instant of a body; 0: it is not there, in one way or another.
func (b body) instant(name string, t int64) {
	if t > 0 {
		b.integer(name, t)
		return
	}
	if b.null(name); b.g.chance(40) {
		b.m[name] = one(b.g, []int64{0, -1})
	}
}

// times and durations of a CDR that starts at start.
func (b body) times(start int64) {
	g := b.g
	b.instant("startTime", start)
	bridge := start + g.upTo(40_000)
	end := bridge + g.upTo(90_000)
	switch g.IntN(10) {
	case 0:
		bridge = 0
	case 1:
		end = 0
	case 2:
		end = max(1, start-g.upTo(5_000)) // before it began
	case 3:
		end = bridge + 30_000 + g.upTo(3) - 1 // about X
	}
	b.instant("bridgeTime", bridge)
	b.instant("endTime", end)
	b.instant("answerTime", bridge)
	if g.chance(60) {
		b.integer("duration", one(g, []int64{-3, 0, 1, 29, 30, 31, 60, 90, g.upTo(300)}))
	} else {
		b.null("duration")
	}
	if g.chance(60) {
		b.integer("totalDuration", one(g, []int64{-3, 0, 5, 45, g.upTo(400)}))
	} else {
		b.null("totalDuration")
	}
}

// code is one of codes; -100: none.
func (b body) code(name string, codes ...int64) {
	if c := one(b.g, codes); c != none {
		b.integer(name, c)
	} else {
		b.null(name)
	}
}

const none = -100

func (g *random) call() string {
	return fmt.Sprintf(one(g, []string{"c%d", "%d"}), 1+g.IntN(20)) // c7 and 7 are two calls
}

func (g *random) newBody() body { return body{g, map[string]any{}} }

// start of a record: rarely none, so that it is ignored.
func (g *random) start() int64 {
	if g.chance(3) {
		return 0
	}
	return g.moment()
}

func (g *random) main(bot bool) body {
	b := g.newBody()
	b.text("callID", g.call())
	b.times(g.start())
	b.code("callType", 2, 2, 2, 2, 3, 3, 3, 3, 1, 7, none)
	b.code("callResult", 8, 8, 8, 8, 8, 21, 21, 21, 4, 6, 5, 7, 1, 2, 3, 9, 22, 77, none)
	b.text("gatewayNumber", one(g, g.numbers))
	b.text("customerNumber", one(g, g.customers))
	b.text("encryptCustomerNumber", one(g, []string{"", "", "x1", "x2"}))
	b.text("firstRouteId", one(g, g.routes))
	b.text("departmentId", one(g, g.departments))
	if bot {
		if g.chance(40) {
			b.integer("virtualAgentCallDuration", one(g, []int64{-1, 0, 1, 20}))
		}
	} else {
		b.text("screenNumber", one(g, g.customers))
		if g.chance(10) { // of a bot's record, not of this one's: of any type here
			b.m["virtualAgentCallDuration"] = one(g, []any{1, "2", 1.5, "x", true, 0, json.Number("1e1")})
		}
	}
	if g.chance(35) {
		b.m["inboundTransferedHumanAgent"] = one(g, []any{true, false, "true", " false ", nil})
	}
	b.code("transferCount", 0, 1, none)
	return b
}

// person is the agent of a party CDR or of a status change.
func (b body) person(a agent) {
	b.text("agentUUID", a.uuid)
	no, name := a.no, ""
	if a.uuid != "" { // numbers and names change, and are not always told
		no = one(b.g, []string{a.no, a.no, "", "77"})
	}
	if b.g.chance(70) {
		name = one(b.g, []string{"Tom", "Ann", "Zoë", "tom"})
	}
	b.text("agentID", no)
	b.text("agentName", name)
}

func (g *random) party() body {
	b := g.newBody()
	call := g.call()
	b.text("callID", call)
	b.text("partyId", one(g, []string{"p1", "P2", "3"}))
	start := g.start()
	if g.begun[call] == 0 {
		g.begun[call] = start
	} else if g.chance(40) {
		start = g.begun[call]
	}
	b.times(start)
	b.code("callType", none, none, none, none, 2, 3, 3, 1, 9)
	b.code("dialType", 1, 1, 1, 1, 1, 2, 2, 3, 3, 5, 4, 6, 9, none)
	b.code("agentRole", 2, 2, 2, 2, 2, 4, 5, 7, none)
	b.code("callResult", 3, 3, 3, 3, 3, 3, 2, 2, 1, 8, none)
	a := one(g, append(g.agents, agent{}))
	b.person(a)
	var ids []string
	for range one(g, []int{0, 0, 1, 1, 2, 3}) {
		ids = append(ids, g.padded(one(g, append(g.departments, "", " ", "\u00a0d1"))))
	}
	b.text("departmentId", strings.Join(ids, "|"))
	b.text("gatewayNumber", one(g, g.numbers))
	return b
}

func (g *random) statusChange() body {
	b := g.newBody()
	c := change{one(g, g.agents), g.moment()}
	if len(g.changes) > 0 && g.chance(25) { // again, and often the last there is
		c = one(g, g.changes)
		if g.chance(50) {
			for _, o := range g.changes {
				if o.start > c.start {
					c = o
				}
			}
		}
	}
	g.changes = append(g.changes, c)
	b.person(c.agent)
	b.instant("startTime", c.start)
	b.code("loginStatus", 1, 1, 1, 1, 2, 2, 2, 98, 0, -1, 5, none, none)
	b.code(one(g, []string{"notReadyStatus", "notReadyStatus", "noReadyStatus"}), 0, 2, 4, 11, 12, 13, 14, 15, 16, 17, 18,
		97, 98, none)
	if g.chance(5) {
		b.code("noReadyStatus", 2, 12)
	}
	b.code("workStatus", 1, 1, 1, 2, 2, 2, 4, 5, 6, 7, 8, 98, 0, none)
	b.instant("creationTime", one(g, []int64{0, 1, 2, g.moment()}))
	return b
}

// envelope of the next event, as a line of NDJSON.
func (g *random) envelope() string {
	if len(g.sent) > 0 && g.chance(4) { // delivered twice, with its id or without
		return one(g, g.sent)
	}
	var typ string
	var b body
	switch n := g.IntN(100); {
	case n < 30:
		typ, b = "cdr.call", g.main(false)
	case n < 65:
		typ, b = "cdr.party", g.party()
	case n < 71:
		typ, b = "cdr.bot_call", g.main(true)
	case n < 77:
		typ, b = "cdr.bot_party", g.party()
	default:
		typ, b = "agent.status", g.statusChange()
	}
	e := map[string]any{"type": typ, "data": b.m}
	if g.events++; g.chance(30) {
		e["id"] = fmt.Sprintf("e%d", g.events)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	g.sent = append(g.sent, string(raw))
	return string(raw)
}

// settings that a tenant may have; every member may be missing.
func (g *random) settings() (s settings) {
	codes := func() *[]int64 {
		var list []int64
		for range g.IntN(5) {
			list = append(list, one(g, []int64{0, 2, 4, 11, 12, 13, 14, 15, 16, 17, 18, 97}))
		}
		slices.Sort(list)
		list = append([]int64{}, slices.Compact(list)...)
		return &list
	}
	if g.chance(60) {
		x := one(g, []int64{1, 2, 20, 29, 30, 31, 60, 3600})
		s.XSSeconds = &x
	}
	if g.chance(50) {
		s.ReasonCodesA = codes()
	}
	if g.chance(50) {
		s.ReasonCodesB = codes()
	}
	if g.chance(70) {
		s.RouteKinds = map[string]string{"r1": "agentMemory", "r2": one(g, []string{"agent", "thirdPSTN", "agentMemory"})}
		if g.chance(50) {
			s.RouteKinds["r3"] = one(g, []string{"agent", "thirdPSTN", "agentMemory"})
		}
	}
	if g.chance(60) {
		for _, id := range g.departments[:1+g.IntN(4)] {
			s.Departments = append(s.Departments, department{trim(id), one(g, []string{"", "Sales", "Support of " + id})})
		}
	}
	if g.chance(60) {
		s.AgentDepartments = map[string][]string{}
		for range 1 + g.IntN(3) {
			s.AgentDepartments[one(g, []string{"u1", "u2", "U3", "1005", "1001"})] = g.someDepartments()
		}
	}
	return s
}

func (g *random) someDepartments() []string {
	ids := []string{}
	for range g.IntN(3) {
		if id := one(g, g.departments); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// directory objects to be put: what is in it stays, objects given replace theirs.
func (g *random) directory(d directory) (put map[string]any) {
	var agents, departments []map[string]any
	for _, uuid := range []string{"u1", "u2", "é4", "u-8"} {
		if g.chance(50) {
			ids := g.someDepartments()
			d.agentDepartments[uuid] = ids
			agents = append(agents,
				map[string]any{"agentUUID": uuid, "agentID": "1001", "agentName": "of the directory", "departmentIds": ids})
		}
	}
	for _, id := range g.departments {
		if g.chance(40) {
			d.names[id] = one(g, []string{"", "Dept " + id})
			departments = append(departments, map[string]any{"departmentId": id, "name": d.names[id]})
		}
	}
	return map[string]any{"agents": agents, "departments": departments}
}

// query is a random request about what happened.
func (g *random) query() query {
	q := query{
		report: one(g, []string{"relay", "agent", "agent", "department"}), zone: g.zone, now: g.moment(),
		dateType: 11 + g.IntN(5), weekType: g.IntN(2), page: 1, size: one(g,
			[]int64{15, 15, 1000, 1000, 7, 1}), agentType: 1 + g.IntN(2), scope: 2,
	}
	switch g.IntN(20) {
	case 0, 1, 2, 4, 5:
		q.zone = one(g, zones)
	case 3:
		q.zone = ""
	}
	if g.chance(40) {
		q.now = g.anchor + int64(one(g, []wall{4 * hour, 36 * hour, 900 * day}))
	}
	if g.chance(15) {
		q.page = one(g, []int64{2, 2, 3, 1_000_000, 9_223_372_036_854_775_807})
	}
	switch q.report {
	case "relay":
		q.dimensions, q.kind = one(g, []int{1, 2, 3, 4}), one(g, []int{0, 2, 3})
		q.scope = one(g, []int{2, 2, 3})
		q.only = some(g, g.numbers)
	case "agent":
		q.dimensions, q.kind = one(g, []int{1, 8, 9, 10}), one(g, []int{2, 3, 3, 4, 4})
		var ids []string
		for _, a := range g.agents {
			ids = append(ids, a.uuid, a.no)
		}
		q.only = some(g, append(ids, "77"))
	case "department":
		q.dimensions, q.kind = one(g, []int{1, 11, 12, 13}), one(g, []int{2, 3})
		q.only = some(g, g.departments)
	}
	q.start, q.end = g.span(q.dateType)
	q.fields = names(q.report)
	if g.chance(60) {
		if q.kind != 0 && g.chance(80) { // those that the type filter leaves something of
			family := map[int]string{2: "inbound", 3: "outbound", 4: "status"}[q.kind]
			q.fields = slices.DeleteFunc(q.fields, func(name string) bool { return familyOf[q.report+" "+name] != family })
		}
		g.Shuffle(len(q.fields), func(i, j int) { q.fields[i], q.fields[j] = q.fields[j], q.fields[i] })
		q.fields = q.fields[:1+g.IntN(min(16, len(q.fields)))]
	}
	return q
}

// some of a list, often none: no filter then. What is only blanks is dropped.
func some(g *random, of []string) []string {
	if g.chance(65) {
		return nil
	}
	var list []string
	for range 1 + g.IntN(5) {
		list = append(list, one(g, of))
	}
	return items(list)
}

// span of a request, in whole minutes.
func (g *random) span(dateType int) (start, end wall) {
	snap := func(w wall) wall {
		to := one(g, []wall{minute, 10 * minute, 30 * minute, hour, day, day})
		return w - w%to
	}
	length := func(n int64, unit wall) wall { return wall(1+g.upTo(n)) * unit }
	var long wall
	switch n := g.IntN(100); {
	case n < 20:
		long = length(180, minute)
	case n < 45:
		long = length(48, hour)
	case n < 75 || dateType < 13 && n < 95:
		long = length(9, day)
	case n < 90:
		long = length(60, day)
	case n < 96:
		long = 366 * day
	default:
		long = length(366*24, hour)
	}
	middle := wallAt(g.anchor, g.loc) + wall(g.upTo(int64(8*hour))) - 4*hour
	if g.chance(15) {
		middle = wallAt(g.moment(), g.loc)
	}
	start = snap(middle - wall(g.upTo(int64(long))) - minute)
	if end = snap(start + long); end <= start {
		end = start + minute
	}
	return start, end
}

// request is the query as a JSON body, in one of the forms that are allowed.
func (g *random) request(q query) map[string]any {
	b := map[string]any{}
	integer := func(name string, n int64, otherwise int64) {
		switch {
		case n == otherwise && g.chance(40):
			if g.chance(30) {
				b[name] = one(g, []any{nil, "", " "})
			}
		case g.chance(20):
			b[name] = g.padded(fmt.Sprint(n))
		default:
			b[name] = n
		}
	}
	list := func(name string, of []string) {
		if len(of) == 0 {
			if g.chance(30) {
				b[name] = one(g, []any{nil, "", []string{}, "[]", " , ", []string{" "}})
			}
			return
		}
		of = slices.Clone(of)
		for i := range of {
			of[i] = g.padded(of[i])
		}
		if g.chance(10) {
			of = append(of, of[0], "")
		}
		raw, _ := json.Marshal(of)
		plain := !strings.ContainsAny(strings.Join(of, ""), ",[\"")
		switch n := g.IntN(3); {
		case n == 0 && plain:
			b[name] = strings.Join(of, ",")
		case n == 1:
			b[name] = g.padded(string(raw))
		default:
			b[name] = of
		}
	}
	const required = -1
	integer("dimensions", int64(q.dimensions), required)
	integer("dateType", int64(q.dateType), required)
	integer("weekType", int64(q.weekType), 0)
	b["startDate"] = g.padded(q.start.clock().Format("2006-01-02"))
	b["startTime"] = g.padded(q.start.clock().Format("15:04"))
	b["endDate"] = g.padded(q.end.clock().Format("2006-01-02"))
	b["endTime"] = g.padded(q.end.clock().Format("15:04"))
	if q.end%day == 0 && (g.chance(70) || q.end.clock().Year() > 2099) {
		b["endDate"], b["endTime"] = (q.end - day).clock().Format("2006-01-02"), "24:00"
	}
	list("customerFields", q.fields)
	integer("currPage", q.page, 1)
	integer("pageSize", q.size, 15)
	switch q.report {
	case "relay":
		integer("callType", int64(q.kind), 0)
		if q.kind == 0 {
			delete(b, "callType")
		}
		list("gatewayNumber", q.only)
		integer("numberScope", int64(q.scope), 2)
		if b["startTime"] == "00:00" && g.chance(50) {
			delete(b, "startTime")
		}
		if b["endTime"] == "24:00" && g.chance(50) {
			delete(b, "endTime")
		}
	case "agent":
		integer("agentReportType", int64(q.kind), required)
		list("agents", q.only)
		integer("agentType", int64(q.agentType), 1)
	case "department":
		integer("callType", int64(q.kind), required)
		list("departIds", q.only)
	}
	if g.chance(10) {
		b["unknown"] = one(g, []any{1, "x", []int{1}, map[string]any{}})
	}
	return b
}
