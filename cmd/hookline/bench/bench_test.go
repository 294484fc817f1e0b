package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
)

func TestBodies(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_123)
	l := newLoad(nil, "", 1)
	l.run, l.bare = 7, true
	bare := l.request(nil, 42, 43, now)
	require.InDelta(t, 1024, len(bare), 50)
	run, n, ns, ok := readMark(bare)
	require.True(t, ok)
	require.Equal(t, []any{7, 42, now.UnixNano()}, []any{run, n, ns})

	// The gate takes them as they are, each of a call of its own.
	l.bare, l.ids = false, true
	items, problem := event.Gate{CompanyID: "demo", Strict: true, Now: func() time.Time { return now }}.
		Read(nil, 0, l.request(nil, 0, 3, now), 10)
	require.Nil(t, problem)
	require.Len(t, items, 3)
	keys := map[string]bool{}
	for i, it := range items {
		require.Nil(t, it.Problem)
		require.Equal(t, fmt.Sprintf("bench-7-%d", i), it.Event.ID)
		require.Empty(t, it.Event.Warnings)
		require.NotEmpty(t, it.Event.OrderKey)
		keys[it.Event.OrderKey] = true
		_, n, _, ok := readMark(it.Event.Body)
		require.True(t, ok)
		require.Equal(t, i, n)
	}
	require.Len(t, keys, 3)
}

func FuzzReadMark(f *testing.F) {
	f.Add([]byte(`{"benchMark":"0001/00000002/1790000000123000000"}`))
	f.Add([]byte(`"benchMark":"0001/00000002/179000000012300000`))
	f.Fuzz(func(t *testing.T, body []byte) {
		run, n, ns, ok := readMark(body)
		if !ok {
			return
		}
		require.True(t, run >= 0 && n >= 0 && ns >= 0)
		require.Contains(t, string(body), markField+string(appendMark(nil, run, n, ns)))
	})
}

// A sink that tells what it counted.
func startCounter(t *testing.T) *sinkProcess {
	s := httptest.NewServer(&Counter{})
	t.Cleanup(s.Close)
	return &sinkProcess{url: s.URL}
}

func push(t *testing.T, s *sinkProcess, sub, run, n int) {
	l := newLoad(nil, "", 1)
	l.run = run
	resp, err := http.Post(fmt.Sprintf("%s/%d", s.url, sub), "application/json", bytes.NewReader(l.body(nil, n, time.Now().Add(-time.Second))))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
}

func TestCounter(t *testing.T) {
	s, ctx := startCounter(t), t.Context()
	require.NoError(t, s.expect(ctx, 3, 2, 2))
	waited := make(chan error, 1)
	go func() { waited <- s.wait(ctx, 4) }()
	for n := range 2 {
		push(t, s, 0, 3, n)
		push(t, s, 1, 3, n)
	}
	require.NoError(t, <-waited)
	require.NoError(t, s.wait(ctx, 4), "they came before")
	tally, err := s.tally(ctx)
	require.NoError(t, err)
	require.NoError(t, tally.check(2))
	require.InDelta(t, 1000, tally.Latency.P50, 900)
	require.InDelta(t, time.Now().UnixNano(), tally.LastNs, 5e9)
	require.Error(t, tally.check(3), "more were expected")

	for name, more := range map[string][][3]int{ // subscription, run, number
		"one is missing":          {},
		"one came twice":          {{1, 4, 1}, {0, 4, 0}},
		"one of an earlier run":   {{1, 4, 1}, {0, 3, 0}},
		"a number out of range":   {{1, 4, 1}, {0, 4, 2}},
		"a subscription too many": {{1, 4, 1}, {2, 4, 0}},
	} {
		require.NoError(t, s.expect(ctx, 4, 2, 2))
		for _, p := range append([][3]int{{0, 4, 0}, {0, 4, 1}, {1, 4, 0}}, more...) {
			push(t, s, p[0], p[1], p[2])
		}
		tally, err := s.tally(ctx)
		require.NoError(t, err)
		require.Error(t, tally.check(2), name)
	}
}

func TestCounterRefuses(t *testing.T) {
	s := startCounter(t)
	for _, path := range []string{"/expect?run=1&events=0&subs=1", "/expect?run=x&events=1&subs=1", "/expect?run=1&events=1&subs=1001", "/wait?deliveries=1", "/wait"} {
		_, err := call(t.Context(), http.MethodPost, s.url+path, "", nil)
		require.ErrorContains(t, err, "400", path)
	}
	resp, err := http.Post(s.url+"/0", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
}

func TestLatency(t *testing.T) {
	var ns []int64
	for i := range int64(100) {
		ns = append(ns, (100-i)*1e6)
	}
	require.Equal(t, Latency{P50: 51, P95: 96, P99: 100, Max: 100}, latencyOf(ns))
	require.Zero(t, latencyOf(nil))
}

// A full hub is asked again; another refusal ends the run.
func TestPost(t *testing.T) {
	status := []int{503, 429, 202, 400}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status[0])
		status = status[1:]
		_, _ = io.WriteString(w, "because")
	}))
	defer s.Close()
	l := newLoad([]string{s.URL}, "k", 1)
	require.NoError(t, l.flood(t.Context(), 1, 1))
	require.EqualValues(t, 2, l.pushedBack.Load())
	require.ErrorContains(t, l.flood(t.Context(), 1, 1), "400: because")
}

func TestPace(t *testing.T) {
	s := startCounter(t)
	require.NoError(t, s.expect(t.Context(), 0, 20, 1))
	l := newLoad([]string{s.url + "/0"}, "", 4)
	l.bare = true
	began := time.Now()
	require.NoError(t, l.pace(t.Context(), 20, 100))
	require.GreaterOrEqual(t, time.Since(began), 190*time.Millisecond)
	tally, err := s.tally(t.Context())
	require.NoError(t, err)
	require.NoError(t, tally.check(20))

	stopped, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, l.pace(stopped, 20, 100), context.Canceled)
}

func TestMetric(t *testing.T) {
	scrape := []byte("# HELP a_total x\na_total_more 1\na_total 1.5e+03\n")
	v, err := metric(scrape, "a_total")
	require.NoError(t, err)
	require.InDelta(t, 1500, v, 0)
	_, err = metric(scrape, "b_total")
	require.ErrorContains(t, err, "b_total")

	all, err := metrics([]byte("lag_events{fold=\"a b\"} 3\nlag_events_more 9\nlag_events{fold=\"c\"} 5\n"), "lag_events")
	require.NoError(t, err)
	require.Equal(t, []float64{3, 5}, all)
	_, err = metrics([]byte("lag_events x\n"), "lag_events")
	require.ErrorContains(t, err, "lag_events")
}

func TestReport(t *testing.T) {
	r := &Report{
		Raw: []Raw{{PerSecond: 30_000}, {PerSecond: 10_000}, {PerSecond: 10_000}},
		Hub: []*Measurement{
			{Case: Cases[1], Events: 100, Deliveries: 100, DeliveredPerSecond: 5000}, {Case: Cases[4], DeliveredPerSecond: 100},
		},
	}
	r.Hub[0].cost(use{cpu: time.Second, mallocs: 1000, commits: 1}, use{cpu: 2 * time.Second, mallocs: 3000, commits: 5})
	r.compare()
	require.InDelta(t, .25, r.Hub[0].OfRaw, 1e-9)
	require.InDelta(t, .01, r.Hub[1].OfRaw, 1e-9)
	require.InDelta(t, 10, r.Hub[0].CPUPerThousand, 1e-9)
	require.InDelta(t, 20, r.Hub[0].AllocsPerDelivery, 1e-9)
	require.InDelta(t, 50, r.Hub[0].RowsPerCommit, 1e-9)
	var out bytes.Buffer
	require.NoError(t, r.Print(&out))
	require.Contains(t, out.String(), "25.0 %")
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"deliveredPerSecond":5000`)
}

func TestUnknownCase(t *testing.T) {
	_, err := (&Config{Cases: []string{"1x1", "9x9"}}).Run(t.Context())
	require.ErrorContains(t, err, "9x9")
}
