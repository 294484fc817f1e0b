package sobot_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/cmd/hookline/simulate"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest"
)

const tm, v6 = "/callservice/tm/tm-reports", "/callservice/v6/cc-reports"

// record is a body as it was sent, read by nothing of the hub's.
type record map[string]any

func (r record) text(name string) string { s, _ := r[name].(string); return strings.TrimSpace(s) }

func (r record) num(name string) int64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(fmt.Sprint(r[name])), 64)
	if err != nil {
		return 0
	}
	return int64(f)
}

// day is what was sent: the last version of each record.
type day struct {
	calls   map[string]record
	parties map[string]map[string]record // by callID and partyId
}

// simulateDay sends a day of a contact centre, some of its records corrected.
func simulateDay(t *testing.T, h *hubtest.Hub) *day {
	c, err := simulate.New(simulate.Config{
		Seed: 7, Agents: 12, CallsPerHour: 15, Start: time.UnixMilli(1_700_006_400_000), Duration: 24 * time.Hour,
	})
	require.NoError(t, err)
	var lines []string
	var again []simulate.Envelope
	rng := rand.New(rand.NewPCG(1, 2))
	for e, more := c.Next(); more; e, more = c.Next() {
		if e.Type > event.CDRBotParty {
			continue
		}
		e.Data = slices.Clone(e.Data)
		if rng.IntN(8) == 0 {
			again = append(again, e)
		}
		lines = append(lines, string(e.AppendJSON(nil)))
	}
	for i, e := range again {
		var r record
		require.NoError(t, json.Unmarshal(e.Data, &r))
		switch rng.IntN(4) {
		case 0:
			r["startTime"] = r.num("startTime") + rng.Int64N(7_200_000) - 3_600_000
		case 1:
			r["customerNumber"], r["agentUUID"], r["agentID"] = "13800000000", "someone-else", "9999"
		case 2: // it is replaced as a whole
			r = record{
				"callID": r["callID"], "partyId": r["partyId"], "startTime": strconv.FormatInt(r.num("startTime"), 10),
				"callResult": " 8 ", "attachedData": `{"note": "corrected"}`,
			}
			if r["partyId"] == nil {
				delete(r, "partyId")
			}
		default:
			delete(r, "startTime")
		}
		e.ID = fmt.Sprint("again-", i)
		e.Data, err = json.Marshal(r)
		require.NoError(t, err)
		lines = append(lines, string(e.AppendJSON(nil)))
	}
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits": {"eventsPerSecond": 100000}}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	for chunk := range slices.Chunk(lines, 500) {
		a := h.Do("POST", "/v1/events", h.Owner, strings.Join(chunk, "\n"), "Content-Type", "application/x-ndjson")
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	}
	// A naive fold of the lines: the last one wins.
	d := &day{map[string]record{}, map[string]map[string]record{}}
	for _, l := range lines {
		var e struct {
			Type string
			Data record
		}
		require.NoError(t, json.Unmarshal([]byte(l), &e))
		call := e.Data.text("callID")
		if e.Type == "cdr.call" {
			d.calls[call] = e.Data
			continue
		}
		if d.parties[call] == nil {
			d.parties[call] = map[string]record{}
		}
		d.parties[call][e.Data.text("partyId")] = e.Data
	}
	require.Greater(t, len(d.calls), 250)
	return d
}

// picks is the naive filter.
func (d *day) picks(call record, q map[string]any) bool {
	p := record(q)
	is := func(param, field string) bool { return q[param] == nil || p.text(param) == call.text(field) }
	code := func(param, field string) bool { return q[param] == nil || p.num(param) == call.num(field) }
	some := func(param, field string) bool {
		return q[param] == nil || (call.num(field) > 0) == (p.num(param) == 2)
	}
	parties := d.parties[call.text("callID")]
	anyParty := func(f func(record) bool) bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(parties)), f)
	}
	start := call.num("startTime")
	if start == 0 || start < p.num("startTime") || start >= p.num("endTime") ||
		!is("callID", "callID") || !is("customerNumber",
		"customerNumber") || !is("gatewayNumber", "gatewayNumber") || !is("mainDialType", "mainDialType") ||
		!code("callType", "callType") || !code("callResult", "callResult") || !code("hangupDisposition",
		"hangupDisposition") ||
		!some("transferCount", "transferCount") || !some("consultCount", "consultCount") {
		return false
	}
	if q["agent"] != nil {
		field := "agentID"
		if p.num("agentType") == 1 {
			field = "agentUUID"
		}
		if !anyParty(func(r record) bool { return r.text(field) == p.text("agent") }) {
			return false
		}
	}
	if q["departmentId"] != nil {
		in := func(r record) bool {
			return slices.Contains(strings.Split(r.text("departmentId"), "|"), p.text("departmentId"))
		}
		if !in(call) && !anyParty(in) {
			return false
		}
	}
	if q["agentCount"] != nil {
		answered := map[string]bool{}
		for _, r := range parties {
			if r.num("callResult") == 3 && (r["agentRole"] == nil || r.num("agentRole") == 2) {
				answered[r.text("agentUUID")] = true
			}
		}
		if min(len(answered), 2) != int(p.num("agentCount"))-1 {
			return false
		}
	}
	if q["attachedData"] != nil {
		data := call["attachedData"]
		if s, is := data.(string); is {
			_ = json.Unmarshal([]byte(s), &data)
		}
		have, _ := data.(map[string]any)
		var want map[string]any
		if err := json.Unmarshal([]byte(p.text("attachedData")), &want); err != nil {
			raw, _ := json.Marshal(have)
			return have != nil && bytes.Contains(raw, []byte(p.text("attachedData")))
		}
		for k, v := range want {
			if fmt.Sprint(have[k]) != fmt.Sprint(v) {
				return false
			}
		}
	}
	return true
}

// naive answers a query from what was sent.
func (d *day) naive(q map[string]any) (ids []string, total int) {
	var found []record
	for _, c := range d.calls {
		if d.picks(c, q) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b record) int {
		if by := b.num("startTime") - a.num("startTime"); by != 0 {
			return int(by)
		}
		return strings.Compare(a.text("callID"), b.text("callID"))
	})
	total = len(found)
	from := min(int((q["pageNum"].(int)-1)*q["pageSize"].(int)), total)
	for _, c := range found[from:min(from+q["pageSize"].(int), total)] {
		ids = append(ids, c.text("callID"))
	}
	return ids, total
}

// draw a query: few filters, of values that are there.
func (d *day) draw(t *rapid.T, ids []string) map[string]any {
	call := d.calls[rapid.SampledFrom(ids).Draw(t, "call")]
	party := record{}
	if all := d.parties[call.text("callID")]; len(all) > 0 {
		party = all[rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "party")]
	}
	start := int64(1_700_006_400_000)
	from := start + rapid.Int64Range(-3_600_000, 86_400_000).Draw(t, "from")
	if at := call.num("startTime"); at > 0 && rapid.Bool().Draw(t, "exact") {
		from = at
	}
	q := map[string]any{
		"startTime": from, "endTime": from + 1 + rapid.SampledFrom([]int64{
			0, 3_600_000, 90_000_000, 30 * 86_400_000,
		}).Draw(t, "span"),
		"pageNum":  rapid.IntRange(1, 4).Draw(t, "page"),
		"pageSize": rapid.SampledFrom([]int{1, 7, 100, 1000}).Draw(t, "size"),
	}
	text := func(s string) any { return rapid.SampledFrom([]string{s, " " + s + " "}).Draw(t, "blanks") }
	code := func(n any) any {
		if rapid.Bool().Draw(t, "as text") {
			return fmt.Sprint(n)
		}
		return n
	}
	for _, f := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
		"callID", "agent", "customerNumber", "gatewayNumber", "callType", "mainDialType", "callResult", "hangupDisposition",
		"attachedData",
		"agentCount", "transferCount", "consultCount", "departmentId", "operator", "hideNumber",
	}), 0, 3, rapid.ID).Draw(t, "filters") {
		switch f {
		case "callID", "customerNumber", "gatewayNumber":
			if s := call.text(f); s != "" {
				q[f] = text(s)
			}
		case "mainDialType":
			if s := call.text(f); s != "" {
				q[f] = s
			}
		case "callType", "callResult", "hangupDisposition":
			if n := call.num(f); n > 0 {
				q[f] = code(n)
			}
		case "agent":
			uuid := rapid.Bool().Draw(t, "uuid")
			if uuid && party.text("agentUUID") != "" {
				q["agent"], q["agentType"] = text(party.text("agentUUID")), code(1)
			} else if !uuid && party.text("agentID") != "" {
				q["agent"] = text(party.text("agentID"))
			}
		case "departmentId":
			if id, _, _ := strings.Cut(party.text("departmentId"), "|"); id != "" {
				q[f] = id
			}
		case "attachedData":
			have, _ := call["attachedData"].(map[string]any)
			if len(have) == 0 {
				q[f] = rapid.SampledFrom([]string{
					`{"note":"corrected"}`, "corrected", `{"note":"nowhere"}`, "nowhere",
				}).Draw(t, "data")
				continue
			}
			k := rapid.SampledFrom(slices.Sorted(maps.Keys(have))).Draw(t, "key")
			raw, _ := json.Marshal(map[string]any{k: have[k]})
			if rapid.Bool().Draw(t, "contained") {
				q[f] = string(raw)
			} else {
				q[f] = strings.Trim(string(raw), "{}")
			}
		case "agentCount":
			q[f] = code(rapid.IntRange(1, 3).Draw(t, f))
		case "transferCount", "consultCount", "hideNumber":
			q[f] = code(rapid.IntRange(1, 2).Draw(t, f))
		case "operator":
			q[f] = "1001"
		}
	}
	return q
}

// ask is S1: the callIDs of a page, and the total.
func ask(t require.TestingT, h *hubtest.Hub, prefix string, q map[string]any) (ids []string, total int) {
	a := h.Do("POST", prefix+"/maincdrs/_search", h.Owner, q)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	var body struct {
		Data struct {
			Total int
			List  []struct{ CallID string }
		}
	}
	require.NoError(t, json.Unmarshal(a.Body, &body))
	for _, c := range body.Data.List {
		ids = append(ids, c.CallID)
	}
	return ids, body.Data.Total
}

// Every filter of S1 picks what a plain filter over the lines that were sent
// picks, also after a restart and after a rebuild.
func TestSearchEqualsNaive(t *testing.T) { eachStore(t, testSearchEqualsNaive) }

func testSearchEqualsNaive(t *testing.T, h *hubtest.Hub) {
	d := simulateDay(t, h)
	ids := slices.Sorted(maps.Keys(d.calls))
	check := func(t *testing.T) {
		found := 0
		rapid.Check(t, func(rt *rapid.T) {
			q := d.draw(rt, ids)
			wantIDs, wantTotal := d.naive(q)
			gotIDs, gotTotal := ask(rt, h, rapid.SampledFrom([]string{tm, v6}).Draw(rt, "prefix"), q)
			require.Equal(rt, wantTotal, gotTotal, "%v", q)
			require.Equal(rt, wantIDs, gotIDs, "%v", q)
			found += wantTotal
		})
		require.Positive(t, found, "no query found anything")
		for _, id := range ids {
			checkParties(t, h, id, d.parties[id])
			if len(d.parties[id]) > 3 {
				break
			}
		}
	}
	check(t)
	h.Restart()
	check(t)
	h.Rebuild()
	check(t)
	h.Rebuild("records")
	all := map[string]any{"startTime": 1, "endTime": 1_700_006_400_000, "pageNum": 1, "pageSize": 1}
	all["startTime"] = 1_700_006_400_000 - 86_400_000
	all["endTime"] = 1_700_006_400_000 + 2*86_400_000
	wantIDs, wantTotal := d.naive(all)
	gotIDs, gotTotal := ask(t, h, tm, all)
	require.Equal(t, wantTotal, gotTotal)
	require.Equal(t, wantIDs, gotIDs)
}

// checkParties compares S2 and S3 with what was sent.
func checkParties(t *testing.T, h *hubtest.Hub, callID string, parties map[string]record) {
	sorted := slices.SortedFunc(maps.Values(parties), func(a, b record) int {
		if by := a.num("startTime") - b.num("startTime"); by != 0 {
			return int(by)
		}
		return strings.Compare(a.text("partyId"), b.text("partyId"))
	})
	var want []string
	for _, p := range sorted {
		want = append(want, p.text("partyId"))
	}
	var s2, s3 struct {
		Data struct {
			List, Parties []struct{ PartyID string }
			Call          struct{ CallID string }
		}
	}
	a := h.Do("GET", tm+"/maincdrs/"+callID+"/partycdrs", h.Owner, nil)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	require.NoError(t, json.Unmarshal(a.Body, &s2))
	b := h.Do("POST", v6+"/cdrs/_search", h.Owner, map[string]any{"callID": callID})
	require.Equal(t, http.StatusOK, b.Status, "%s", b.Body)
	require.NoError(t, json.Unmarshal(b.Body, &s3))
	require.Equal(t, callID, s3.Data.Call.CallID)
	var got2, got3 []string
	for _, p := range s2.Data.List {
		got2 = append(got2, p.PartyID)
	}
	for _, p := range s3.Data.Parties {
		got3 = append(got3, p.PartyID)
	}
	require.Equal(t, want, got2)
	require.Equal(t, want, got3)
}
