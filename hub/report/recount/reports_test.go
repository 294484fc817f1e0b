package recount

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	hubconfig "github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

var (
	firstSeed = flag.Uint64("seed", 1, "of the first random tenant; the others follow")
	tenants   = flag.Int("tenants", 5, "random tenants on each store")
	events    = flag.Int("events", 110, "that come at a time, 1 to 1000")
)

// Of each tenant: how often events come, and how many requests follow each time.
const (
	loads    = 3
	requests = 70
)

// tally counts values that are neither 0 nor null, nor 100 percent, by report and indicator.
type tally map[string]int

func (n tally) count(q query, a answer) {
	for _, r := range append(a.rows, a.amount) {
		for i, name := range q.fields {
			if v := r.value[i]; v != "0" && v != "null" && v != "100" {
				n[q.report+" "+name]++
			}
		}
	}
}

// complete fails when an indicator never had a value to speak of.
func (n tally) complete(t *testing.T) {
	t.Helper()
	var never []string
	for _, i := range catalogue {
		if n[i.Report+" "+i.Name] == 0 {
			never = append(never, i.Report+" "+i.Name)
		}
	}
	require.Empty(t, never, "indicators that were nothing in every request")
}

// check holds the identities of the contract on an answer.
func check(t testing.TB, q query, a answer) {
	t.Helper()
	for _, r := range append(a.rows, a.amount) {
		identities(t, q.report, valuesOf(q, r), fmt.Sprint(r.keys))
		exactly(t, r.cell)
	}
	if q.dimensions == 1 && len(a.rows) == a.total {
		var rows []map[string]string
		for _, r := range a.rows {
			rows = append(rows, valuesOf(q, r))
		}
		addsUp(t, q.report, rows, valuesOf(q, a.amount))
	}
}

// A hub answers what plain counting answers: random tenants, whose events come
// in several loads, with changes of settings and directory between them, and
// random requests after each. go test -run Reports -seed 7 -tenants 1 repeats one.
func TestReports(t *testing.T) {
	for store, start := range map[string]func(t *testing.T) *hubtest.Hub{
		"sqlite":   func(t *testing.T) *hubtest.Hub { return hubtest.Start(t, testClock) },
		"postgres": func(t *testing.T) *hubtest.Hub { return hubtest.Start(t, testClock, hubtest.OnPostgres(t)) },
	} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			h, n := start(t), tally{}
			t.Logf("seeds %d to %d", *firstSeed, *firstSeed+uint64(*tenants)-1)
			var asked []question
			for i := range uint64(*tenants) {
				asked = append(asked, testTenant(t, h, *firstSeed+i, n)...)
			}
			h.Rebuild()
			for i, q := range asked {
				if i%7 == 0 {
					q.ask("made anew")
				}
			}
			if *tenants >= 5 { // a few need not have everything
				n.complete(t)
			}
		})
	}
}

// question of a company, and what is to be answered.
type question struct {
	*company
	query
	body map[string]any
	want string
}

func (q question) ask(when string) {
	q.t.Helper()
	got := q.company.ask(q.query, q.body)
	raw, err := json.Marshal(q.body)
	require.NoError(q.t, err)
	require.Equal(q.t, http.StatusOK, got.Status, "%s, %s %s: %s", q.id, q.report, raw, got.Body)
	if have := shown(q.t, q.data(got, kinds[q.report])); q.want != have {
		require.Fail(q.t, "the hub does not answer what counting gives", "seed %s, %s, timezoneid %q, now %d: %s %s\n%s",
			q.id, when, q.query.zone, q.now, q.report, raw, differences(q.want, have))
	}
}

// testTenant gives the questions after the last load and change.
func testTenant(t *testing.T, h *hubtest.Hub, seed uint64, n tally) (last []question) {
	g := newRandom(seed)
	c := newCompany(t, h, fmt.Sprint(seed), one(g, []string{"", g.zone, "Europe/Berlin"}))
	var (
		lines []line
		set   settings
		dir   = directory{map[string]string{}, map[string][]string{}}
	)
	for range loads {
		batch := make([]string, *events)
		for i := range batch {
			batch[i] = g.envelope()
		}
		lines = append(lines, c.send(batch)...)
		w := newWorld(lines)
		for changes := range 2 { // settings hold for the past too
			if changes > 0 || g.chance(50) {
				c.put("/v1/directory", g.directory(dir))
				set = c.configure(set, g.settings())
			}
			cfg := configOf(c.zone, set, dir)
			last = nil
			for range requests / 2 {
				q := g.query()
				want := evaluate(w, cfg, q)
				check(t, q, want)
				n.count(q, want)
				last = append(last, question{c, q, g.request(q), want.text(q)})
				last[len(last)-1].ask("as events came")
			}
		}
	}
	return last
}

// paths of the reports.
var paths = map[string]string{
	"relay":      "/callservice/tm/tm-reports/gateway-number-table/_search",
	"agent":      "/callservice/tm/tm-reports/agent-table/_search",
	"department": "/callservice/tm/tm-reports/depart-table/_search",
}

var kinds = map[string]string{"relay": "GatewayNumberTable", "agent": "AgentTable", "department": "DepartTable"}

// differences between two texts: of the first lines that differ, what does.
func differences(want, have string) string {
	var out strings.Builder
	a, b := strings.Split(want, "\n"), strings.Split(have, "\n")
	for i, shown := 0, 0; i < max(len(a), len(b)) && shown < 3; i++ {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x == y {
			continue
		}
		shown++
		fmt.Fprintf(&out, "line %d: %.100s\n", i+1, cmp.Or(x, y))
		xs, ys := strings.Split(x, " "), strings.Split(y, " ")
		if len(xs) != len(ys) {
			fmt.Fprintf(&out, "  counted  %.300s\n  answered %.300s\n", x, y)
			continue
		}
		for j := range xs {
			if xs[j] != ys[j] {
				fmt.Fprintf(&out, "  counted  %s\n  answered %s\n", xs[j], ys[j])
			}
		}
	}
	return out.String()
}

// company is a tenant of a hub.
type company struct {
	t       *testing.T
	h       *hubtest.Hub
	id, key string
	zone    string
}

func newCompany(t *testing.T, h *hubtest.Hub, id, zone string) *company {
	t.Helper()
	body := map[string]any{"companyId": id, "limits": map[string]any{"eventsPerSecond": 100_000}}
	if zone != "" {
		body["timezone"] = zone
	} else {
		zone = "Asia/Singapore"
	}
	a := h.Do("POST", "/v1/tenants", hubtest.PlatformKey, body)
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	a = h.Do("POST", "/v1/tenants/"+id+"/keys", hubtest.PlatformKey, map[string]any{"role": "owner", "name": "owner"})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	return &company{t, h, id, a.JSON(t)["key"].(string), zone}
}

// send events, and give those that were stored, in the order in which they came.
func (c *company) send(batch []string) (stored []line) {
	c.t.Helper()
	a := c.h.Do("POST", "/v1/events", c.key, strings.Join(batch, "\n"), "Content-Type", "application/x-ndjson")
	require.Equal(c.t, http.StatusAccepted, a.Status, "%s", a.Body)
	var answer struct{ Results []struct{ Status string } }
	require.NoError(c.t, json.Unmarshal(a.Body, &answer))
	require.Len(c.t, answer.Results, len(batch))
	for i, r := range answer.Results {
		if r.Status == "duplicate" {
			continue
		}
		var l line
		require.NoError(c.t, json.Unmarshal([]byte(batch[i]), &l))
		stored = append(stored, l)
	}
	return stored
}

func (c *company) put(path string, body any) {
	c.t.Helper()
	a := c.h.Do("PUT", path, c.key, body)
	require.Less(c.t, a.Status, 300, "%s", a.Body)
}

// configure sets the settings that are given and gives all.
func (c *company) configure(all, given settings) settings {
	c.t.Helper()
	a := c.h.Do("PATCH", "/v1/tenants/"+c.id, c.key, map[string]any{"settings": given})
	require.Equal(c.t, http.StatusOK, a.Status, "%s", a.Body)
	if given.XSSeconds != nil {
		all.XSSeconds = given.XSSeconds
	}
	if given.ReasonCodesA != nil {
		all.ReasonCodesA = given.ReasonCodesA
	}
	if given.ReasonCodesB != nil {
		all.ReasonCodesB = given.ReasonCodesB
	}
	if given.RouteKinds != nil {
		all.RouteKinds = given.RouteKinds
	}
	if given.Departments != nil {
		all.Departments = given.Departments
	}
	if given.AgentDepartments != nil {
		all.AgentDepartments = given.AgentDepartments
	}
	return all
}

// ask the hub for a report.
func (c *company) ask(q query, body any) hubtest.Answer {
	c.t.Helper()
	headers := []string{"X-Hookline-Now", strconv.FormatInt(q.now, 10)}
	if q.zone != "" {
		headers = append(headers, "timezoneid", q.zone)
	}
	return c.h.Do("POST", paths[q.report], c.key, body, headers...)
}

// data of an answer, whose envelope is as it should be (1.7).
func (c *company) data(a hubtest.Answer, kind string) json.RawMessage {
	c.t.Helper()
	const envelope = `{"apiVersion":"6.2","status":"Success","code":200,"message":"","reason":"OK","kind":%q,"metaData":{"creatorId":"","creationTime":0,"updateUserId":"","updatedTime":0},"data":`
	head := fmt.Sprintf(envelope, kind)
	require.True(c.t, strings.HasPrefix(string(a.Body), head), "%s", a.Body)
	return json.RawMessage(strings.TrimSuffix(string(a.Body[len(head):]), "}"))
}

// The worked examples, asked of a hub.
func TestExamples(t *testing.T) {
	h := hubtest.Start(t, testClock)
	for i, e := range examples(t) {
		c := newCompany(t, h, fmt.Sprintf("e%d", i), "")
		var batch []string
		for _, l := range e.lines {
			raw, err := json.Marshal(map[string]any{
				"type": l.Type,
				"data": json.RawMessage(strings.ReplaceAll(string(l.Data), "825072edbd914f47aa8704de02f1cdb6", c.id)),
			})
			require.NoError(t, err)
			batch = append(batch, string(raw))
		}
		c.send(batch)
		c.configure(settings{}, e.settings)
		e.each(t, func(t *testing.T, r exampleRequest, want exampleAnswer) {
			got := c.ask(query{report: r.Report, zone: r.Headers["timezoneid"], now: r.Now}, []byte(r.Body))
			require.Equal(t, want.HTTPStatus, got.Status, "%s", got.Body)
			if want.Error != nil {
				refused(t, got, want.Error.Reason, want.Error.Param)
				return
			}
			require.Equal(t, shown(t, want.Data), shown(t, c.data(got, kinds[r.Report])))
		})
	}
}

// refused says that an answer is the error of a reason and a parameter (1.6).
func refused(t testing.TB, a hubtest.Answer, reason, param string) {
	t.Helper()
	require.Equal(t, http.StatusBadRequest, a.Status, "%s", a.Body)
	var e struct {
		Code                    int
		Status, Message, Reason string
	}
	require.NoError(t, json.Unmarshal(a.Body, &e))
	require.Equal(t, reason, e.Reason, "%s", a.Body)
	require.True(t, strings.HasPrefix(e.Message, param+":"), "%s: %s", param, e.Message)
	require.Regexp(t,
		`^\{"apiVersion":"6.2","status":"Fail","code":400,"message":".*","reason":"`+reason+`","kind":"Error","data":null\}$`,
		string(a.Body))
}

// Days of which Go's ZoneBounds says odd things are as long as others.
func TestOddDays(t *testing.T) {
	h := hubtest.Start(t, testClock)
	c := newCompany(t, h, "odd", "America/New_York")
	c.send([]string{`{"type":"agent.status","data":{"agentUUID":"u1","startTime":2000000000000,"loginStatus":1}}`})
	for _, date := range []string{"2038-01-18", "2038-01-19", "2040-12-30", "2040-12-31", "2041-01-01", "2096-12-31"} {
		a := h.Do("POST", paths["agent"], c.key, map[string]any{
			"dimensions": 1, "dateType": 13, "startDate": date, "startTime": "00:00", "endDate": date, "endTime": "24:00",
			"agentReportType": 4, "customerFields": "agent_login_sum_duration",
		}, "X-Hookline-Now", "4102444800000")
		require.Equal(t, fmt.Sprintf("result_date=%q agent_login_sum_duration=86400\namount: agent_login_sum_duration=86400\ntotal: 1\ncurrPage: 1\npageSize: 15\n",
			date),
			shown(t, c.data(a, kinds["agent"])))
	}
}

// Now is the clock's, or for tests what the header says.
func TestNow(t *testing.T) {
	login := func(t *testing.T, h *hubtest.Hub, at int64, now string) hubtest.Answer {
		c := newCompany(t, h, "now", "UTC")
		c.send([]string{fmt.Sprintf(`{"type":"agent.status","data":{"agentUUID":"u1","startTime":%d,"loginStatus":1}}`, at)})
		begin := time.UnixMilli(at).UTC()
		return h.Do("POST", paths["agent"], c.key, map[string]any{
			"dimensions": 1, "dateType": 15, "startDate": begin.Format("2006-01-02"), "startTime": "00:00",
			"endDate": begin.AddDate(0, 0, 40).Format("2006-01-02"), "endTime": "24:00", "agentReportType": 4,
			"customerFields": "agent_login_sum_duration",
		}, "X-Hookline-Now", now)
	}
	seconds := func(t *testing.T, a hubtest.Answer) float64 {
		t.Helper()
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		return a.JSON(t)["data"].(map[string]any)["amount"].(map[string]any)["agent_login_sum_duration"].(float64)
	}
	t.Run("clock", func(t *testing.T) {
		at := time.Now().Add(-time.Hour)
		got := seconds(t, login(t, hubtest.Start(t), at.UnixMilli(), "1"))
		require.GreaterOrEqual(t, got, 3600.0)
		require.LessOrEqual(t, got, time.Since(at).Seconds()+1)
	})
	t.Run("header", func(t *testing.T) {
		got := login(t, hubtest.Start(t, testClock), 1647446400000, "1647446401500")
		require.Equal(t, 2.0, seconds(t, got), "1.5 s, half up") //nolint:testifylint // whole seconds
	})
	t.Run("wrong header", func(t *testing.T) {
		refused(t, login(t, hubtest.Start(t, testClock), 1647446400000, "soon"), "PARAM_VALUE", "X-Hookline-Now")
	})
}

func testClock(c *hubconfig.Config) { c.TestClock = true }
