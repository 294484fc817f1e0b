package sobot_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/cmd/hookline/simulate"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest"
)

// logRow is a row of S9 as a plain reader of the lines that were sent makes it.
type logRow struct {
	ID                        string
	AgentUUID, AgentID        string
	StartTimeMs, EndTimeMs    int64 // EndTimeMs 0: it lasts
	LoginStatus               int64
	NoReadyStatus, WorkStatus int64
}

// statusLines are a day's statuses as NDJSON: some of them come again otherwise,
// some late, some say less.
func statusLines(t *testing.T, rng *rand.Rand) (lines []string) {
	c, err := simulate.New(simulate.Config{
		Seed: rng.Uint64(), Agents: 9, CallsPerHour: 25, Start: time.UnixMilli(1_700_006_400_000), Duration: 24 * time.Hour,
	})
	require.NoError(t, err)
	for e, more := c.Next(); more; e, more = c.Next() {
		if e.Type != event.AgentStatus {
			continue
		}
		var b map[string]any
		require.NoError(t, json.Unmarshal(e.Data, &b))
		switch rng.IntN(12) {
		case 0:
			delete(b, []string{"loginStatus", "notReadyStatus", "workStatus", "creationTime"}[rng.IntN(4)])
		case 1: // the same moment, told otherwise
			again := fmt.Sprintf(`{"agentUUID": %q, "startTime": %v, "creationTime": %d, "workStatus": %d, "noReadyStatus": %d}`,
				b["agentUUID"], int64(b["startTime"].(float64)), int64(b["startTime"].(float64))+rng.Int64N(2000)-1000,
				1+rng.IntN(2), rng.IntN(2)*11)
			lines = append(lines, fmt.Sprintf(`{"type": "agent.status", "id": "%s-x", "data": %s}`, e.ID, again))
		}
		data, err := json.Marshal(b)
		require.NoError(t, err)
		e.Data = data
		lines = append(lines, string(e.AppendJSON(nil)))
	}
	for i := range lines { // some come late, by a few or by very many
		if rng.IntN(10) == 0 {
			j := min(len(lines)-1, i+rng.IntN([]int{5, len(lines)}[rng.IntN(2)]))
			lines[i], lines[j] = lines[j], lines[i]
		}
	}
	require.Greater(t, len(lines), 500)
	return lines
}

// foldLines makes all rows, by agent: the latest of a moment counts, a code that is
// absent stays, and a row lasts as long as the three codes.
func foldLines(t *testing.T, lines []string) (rows []logRow) {
	type line struct {
		ID   string
		Data record
		n    int
	}
	moments := map[string]map[int64]line{}
	for n, l := range lines {
		var e line
		require.NoError(t, json.Unmarshal([]byte(l), &e))
		e.n = n
		agent, at := e.Data.text("agentUUID"), e.Data.num("startTime")
		if moments[agent] == nil {
			moments[agent] = map[int64]line{}
		}
		if was, there := moments[agent][at]; !there || e.Data.num("creationTime") >= was.Data.num("creationTime") {
			moments[agent][at] = e
		}
	}
	for agent, all := range moments {
		var starts []int64
		for at := range all {
			starts = append(starts, at)
		}
		slices.Sort(starts)
		row := logRow{}
		for i, at := range starts {
			e := all[at]
			is := row
			for _, f := range []struct {
				code  *int64
				names []string
			}{
				{&is.LoginStatus, []string{"loginStatus"}},
				{&is.NoReadyStatus, []string{"notReadyStatus", "noReadyStatus"}},
				{&is.WorkStatus, []string{"workStatus"}},
			} {
				for _, name := range f.names {
					if e.Data[name] != nil {
						*f.code = e.Data.num(name)
						break
					}
				}
			}
			if i > 0 && is.LoginStatus == row.LoginStatus && is.NoReadyStatus == row.NoReadyStatus &&
				is.WorkStatus == row.WorkStatus {
				continue
			}
			if i > 0 {
				row.EndTimeMs = at
				rows = append(rows, row)
			}
			row = is
			row.ID, row.AgentUUID, row.StartTimeMs, row.EndTimeMs = e.ID, agent, at, 0
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b logRow) int {
		return cmp.Or(cmp.Compare(a.StartTimeMs, b.StartTimeMs), cmp.Compare(a.AgentUUID, b.AgentUUID))
	})
	return rows
}

// Every parameter of S9, and what comes of them together, over a day of a contact
// centre: as a plain fold of the lines that were sent has it. A restart and a
// rebuild change nothing.
func TestStatusLogsOfADay(t *testing.T) {
	hubtest.Each(t, testStatusLogsOfADay, testClock)
}

func testStatusLogsOfADay(t *testing.T, h *hubtest.Hub) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	lines := statusLines(t, rng)
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits": {"eventsPerSecond": 100000}}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	for chunk := range slices.Chunk(lines, 500) {
		a := h.Do("POST", "/v1/events", h.Owner, strings.Join(chunk, "\n"), "Content-Type", "application/x-ndjson")
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	}
	rows := foldLines(t, lines)
	numbers := map[string]string{} // by UUID
	for _, l := range lines {
		var e struct{ Data record }
		require.NoError(t, json.Unmarshal([]byte(l), &e))
		if id := e.Data.text("agentID"); id != "" {
			numbers[e.Data.text("agentUUID")] = id
		}
	}
	departments := map[string]string{} // by UUID
	var agents []string
	for uuid := range numbers {
		agents = append(agents, uuid)
	}
	slices.Sort(agents)
	for i, uuid := range agents {
		departments[uuid] = fmt.Sprint("d", i%3)
		a := h.Do("PUT", "/v1/directory/agents/"+uuid, h.Owner, map[string]any{"departmentIds": []string{departments[uuid]}})
		require.Less(t, a.Status, 300, "%s", a.Body)
	}
	for i := range rows {
		rows[i].AgentID = numbers[rows[i].AgentUUID]
	}
	const minute = 60_000
	ask := func(n int) {
		t.Helper()
		loc, err := time.LoadLocation([]string{"Asia/Singapore", "America/St_Johns", "UTC"}[rng.IntN(3)])
		require.NoError(t, err)
		from := 1_700_006_400_000 + rng.Int64N(26*60)*minute - 60*minute
		to := from + rng.Int64N(8*60)*minute
		now := from + rng.Int64N(20*60)*minute
		wall := func(ms int64) string { return time.UnixMilli(ms).In(loc).Format("2006-01-02 15:04") }
		q := map[string]any{
			"startTime": wall(from), "endTime": wall(to), "pageNum": 1 + rng.IntN(3),
			"pageSize": []int{1, 7, 50, 1000}[rng.IntN(4)],
		}
		some := func(of ...string) (all []string) {
			for range 1 + rng.IntN(3) {
				all = append(all, of[rng.IntN(len(of))])
			}
			return all
		}
		codes := func(of ...int64) (all []int64) {
			for range 1 + rng.IntN(2) {
				all = append(all, of[rng.IntN(len(of))])
			}
			return all
		}
		keep := func(r logRow) bool { return true }
		also := func(f func(r logRow) bool) {
			was := keep
			keep = func(r logRow) bool { return was(r) && f(r) }
		}
		if rng.IntN(3) == 0 {
			wanted := some(agents...)
			q["agentType"], q["agent"] = 1, wanted
			if rng.IntN(2) == 0 {
				var ids []string
				for _, uuid := range wanted {
					ids = append(ids, numbers[uuid])
				}
				q["agentType"], q["agent"] = 0, strings.Join(ids, ",=")+";"
			}
			also(func(r logRow) bool { return slices.Contains(wanted, r.AgentUUID) })
		}
		if rng.IntN(4) == 0 {
			wanted := some("d0", "d1", "d2", "d9")
			q["departmentId"] = wanted
			also(func(r logRow) bool { return slices.Contains(wanted, departments[r.AgentUUID]) })
		}
		for _, f := range []struct {
			name string
			of   []int64
			code func(r logRow) int64
		}{
			{"loginStatus", []int64{0, 1, 2}, func(r logRow) int64 { return r.LoginStatus }},
			{"noReadyStatus", []int64{0, 4, 11, 12, 14}, func(r logRow) int64 { return r.NoReadyStatus }},
			{"workStatus", []int64{0, 1, 2, 4, 5, 6, 7, 8}, func(r logRow) int64 { return r.WorkStatus }},
		} {
			if rng.IntN(4) == 0 {
				wanted := codes(f.of...)
				q[f.name] = wanted
				also(func(r logRow) bool { return slices.Contains(wanted, f.code(r)) })
			}
		}
		var want []logRow
		for _, r := range rows {
			end := r.EndTimeMs
			if end == 0 {
				end = max(now, r.StartTimeMs+1)
			}
			if r.StartTimeMs < to+minute && (end > from || r.StartTimeMs >= from) && keep(r) {
				want = append(want, r)
			}
		}

		// On a busy machine the folds may take longer than one query waits for them.
		var a hubtest.Answer
		for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); {
			a, err = h.Try("POST", tm+"/agent-histories/_search", h.Owner, q, "X-Hookline-Now", strconv.FormatInt(now, 10),
				"timezoneid", loc.String())
			if err == nil && a.Status != http.StatusServiceUnavailable {
				break
			}
		}
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		var got struct {
			Data struct {
				Total    int
				PageData []struct {
					logRow
					Duration           int64
					StartTime, EndTime string
				}
			}
		}
		require.NoError(t, json.Unmarshal(a.Body, &got))
		require.Equal(t, len(want), got.Data.Total, "query %d: %v at %d", n, q, now)
		size := q["pageSize"].(int)
		at := min(len(want), (q["pageNum"].(int)-1)*size)
		want = want[at:min(len(want), at+size)]
		require.Len(t, got.Data.PageData, len(want))
		for i, w := range want {
			g := got.Data.PageData[i]
			require.Equal(t, w, g.logRow, "query %d: %v", n, q)
			end, text := w.EndTimeMs, ""
			if end == 0 {
				end = max(now, w.StartTimeMs)
			} else {
				text = wall(end)
			}
			require.Equal(t, (end-w.StartTimeMs+999)/1000, g.Duration)
			require.Equal(t, []string{wall(w.StartTimeMs), text}, []string{g.StartTime, g.EndTime})
		}
	}
	for n := range 50 {
		ask(n)
	}
	h.Restart()
	for n := range 15 {
		ask(100 + n)
	}
	h.Rebuild()
	for n := range 25 {
		ask(200 + n)
	}
}
