package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/search"
)

type window struct {
	From             time.Time
	Attempts, Failed int
	SuccessRate      *float64
	LatencyMs        *struct{ P50, P95, P99 float64 }
}

type health struct {
	State, PausedReason string
	Hold                *struct{ Reason string }
	Breaker             struct{ State string }
	Backlog             int
	OldestPending       *struct {
		AcceptedAt time.Time
		AgeSeconds float64
	}
	Windows   map[string]window
	LastError *struct {
		At              time.Time
		Delivery, Class string
		Status          int
	}
}

func healthOf(t *testing.T, h *hubtest.Hub, sub, key string) (v health) {
	t.Helper()
	a := h.Do("GET", "/v1/subscriptions/"+sub+"/health", key, nil)
	require.Equal(t, 200, a.Status, "%s", a.Body)
	require.NoError(t, json.Unmarshal(a.Body, &v))
	return v
}

// An operator sees how a subscription goes: at rest, at work, in trouble, paused.
func TestHealth(t *testing.T) {
	h := hubtest.Start(t)
	slow := hubtest.NewReceiverFunc(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			w.WriteHeader(503)
			return
		}
		time.Sleep(30 * time.Millisecond) // a slow receiver, so that the latency has a lower bound
	})
	sub := h.Subscribe(slow.URL, "events", []string{"call.*"}, "retry",
		map[string]any{"live": map[string]any{"schedule": []string{"1ms"}}})["id"].(string)

	idle := healthOf(t, h, sub, h.Owner)
	require.Equal(t, "active", idle.State)
	require.Equal(t, "closed", idle.Breaker.State)
	require.Nil(t, idle.Hold)
	require.Nil(t, idle.OldestPending)
	require.Nil(t, idle.LastError)
	require.Nil(t, idle.Windows["5m"].SuccessRate, "nothing was tried")
	require.Nil(t, idle.Windows["5m"].LatencyMs)

	h.Send(hubtest.Ringing("c1", 1))
	pushes := slow.Wait(t, 2)
	var at health
	hubtest.Eventually(t, "both attempts are counted", func() bool {
		at = healthOf(t, h, sub, h.Owner)
		return at.Windows["5m"].Attempts == 2 && at.Backlog == 0
	})
	for name, back := range map[string]time.Duration{"5m": 5 * time.Minute, "1h": time.Hour, "24h": 24 * time.Hour} {
		w := at.Windows[name]
		require.Equal(t, 2, w.Attempts, name)
		require.Equal(t, 1, w.Failed, name)
		require.InDelta(t, 0.5, *w.SuccessRate, 0, name)
		require.GreaterOrEqual(t, w.LatencyMs.P99, 30/1.42, name)
		require.LessOrEqual(t, w.LatencyMs.P50, w.LatencyMs.P95, name)
		require.GreaterOrEqual(t, time.Since(w.From), back, name)
	}
	require.Equal(t, pushes[0].Header.Get("webhook-id"), at.LastError.Delivery)
	require.Equal(t, "status", at.LastError.Class)
	require.Equal(t, 503, at.LastError.Status)

	require.Equal(t, 200, h.Do("POST", "/v1/subscriptions/"+sub+"/pause", h.Owner, nil).Status)
	h.Send(hubtest.Ringing("c1", 2), hubtest.Ringing("c2", 3))
	auditor := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"auditor"}`).JSON(t)["key"].(string)
	paused := healthOf(t, h, sub, auditor)
	require.Equal(t, "paused", paused.State)
	require.Equal(t, "admin", paused.PausedReason)
	require.Equal(t, 2, paused.Backlog)
	require.WithinDuration(t, time.Now(), paused.OldestPending.AcceptedAt, time.Minute)
	require.InDelta(t, time.Since(paused.OldestPending.AcceptedAt).Seconds(), paused.OldestPending.AgeSeconds, 10)

	// The counts are in the store, not in this process.
	h.Restart()
	again := healthOf(t, h, sub, h.Owner)
	require.Equal(t, 2, again.Windows["5m"].Attempts)
	require.Equal(t, 2, again.Backlog)
	require.Equal(t, at.LastError, again.LastError)

	require.Equal(t, 404, h.Do("GET", "/v1/subscriptions/nobody/health", h.Owner, nil).Status)
	require.Equal(t, 400, h.Do("GET", "/v1/subscriptions/"+sub+"/health?since=1", h.Owner, nil).Status)
	require.Equal(t, 204, h.Do("DELETE", "/v1/subscriptions/"+sub, h.Owner, nil).Status)
	require.Equal(t, 404, h.Do("GET", "/v1/subscriptions/"+sub+"/health", h.Owner, nil).Status)
}

type statsRow struct {
	From, To                                                               time.Time
	Subscription, Class                                                    string
	Matched, Delivered, Exhausted, Expired, Cancelled, Superseded, Pending int
	Attempts, FailedAttempts                                               int
	LatencyMs                                                              *struct{ P50, P95, P99 float64 }
}

type stats struct {
	From, To             time.Time
	Bucket, By, Timezone string
	Data                 []statsRow
	Total                statsRow
}

func statsOf(t *testing.T, h *hubtest.Hub, query string) (v stats) {
	t.Helper()
	a := h.Do("GET", "/v1/stats"+query, h.Owner, nil)
	require.Equal(t, 200, a.Status, "%s", a.Body)
	require.NoError(t, json.Unmarshal(a.Body, &v))
	sum := 0
	for _, r := range append(v.Data, v.Total) {
		require.Equal(t, r.Matched, r.Delivered+r.Exhausted+r.Expired+r.Cancelled+r.Superseded+r.Pending, "it adds up")
		require.GreaterOrEqual(t, r.Pending, 0)
	}
	for _, r := range v.Data {
		sum += r.Matched
	}
	require.Equal(t, v.Total.Matched, sum)
	return v
}

func TestStats(t *testing.T) {
	h := hubtest.Start(t)
	good, bad := hubtest.NewReceiver(t), hubtest.NewReceiver(t, 400, 400)
	once := map[string]any{"live": map[string]any{"schedule": []string{}}, "cdr": map[string]any{"schedule": []string{}}}
	taken := h.Subscribe(good.URL, "events", []string{"call.*", "cdr.*"})["id"].(string)
	refused := h.Subscribe(bad.URL, "events", []string{"call.*", "cdr.*"}, "retry", once)["id"].(string)
	waiting := h.Subscribe(good.URL, "events", []string{"cdr.*"})["id"].(string)
	deleted := h.Subscribe(good.URL, "events", []string{"cdr.*"})["id"].(string)
	for _, id := range []string{waiting, deleted} {
		require.Equal(t, 200, h.Do("POST", "/v1/subscriptions/"+id+"/pause", h.Owner, nil).Status)
	}
	h.Send(hubtest.Ringing("c1", 1), hubtest.CDR("c1", 2))
	require.Equal(t, 204, h.Do("DELETE", "/v1/subscriptions/"+deleted, h.Owner, nil).Status)

	var v stats
	hubtest.Eventually(t, "all has ended", func() bool {
		v = statsOf(t, h, "?by=subscription")
		return v.Total.Pending == 1 && v.Total.Delivered == 2
	})
	require.Equal(t, "subscription", v.By)
	require.Equal(t, "hour", v.Bucket)
	require.Equal(t, 24*time.Hour, v.To.Sub(v.From))
	of := map[string]statsRow{}
	for _, r := range v.Data { // of two hours, if the test runs when one begins
		s := of[r.Subscription]
		s.Matched, s.Delivered, s.Exhausted = s.Matched+r.Matched, s.Delivered+r.Delivered, s.Exhausted+r.Exhausted
		s.Pending, s.Cancelled, s.Attempts, s.FailedAttempts = s.Pending+r.Pending, s.Cancelled+r.Cancelled,
			s.Attempts+r.Attempts, s.FailedAttempts+r.FailedAttempts
		of[r.Subscription] = s
	}
	require.Equal(t, map[string]statsRow{
		taken:   {Matched: 2, Delivered: 2, Attempts: 2},
		refused: {Matched: 2, Exhausted: 2, Attempts: 2, FailedAttempts: 2},
		waiting: {Matched: 1, Pending: 1},
		deleted: {Matched: 1, Cancelled: 1},
	}, of)
	require.NotNil(t, v.Total.LatencyMs)

	byClass := statsOf(t, h, "?by=class&bucket=day")
	require.Equal(t, "Asia/Singapore", byClass.Timezone)
	classes := map[string]int{}
	for _, r := range byClass.Data {
		classes[r.Class] += r.Matched
	}
	require.Equal(t, map[string]int{"cdr": 4, "live": 2}, classes)

	// Days begin at midnight of the tenant.
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"timezone":"America/New_York"}`).Status)
	days := statsOf(t, h, "?bucket=day")
	require.Equal(t, "America/New_York", days.Timezone)
	ny, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	last := days.Data[len(days.Data)-1]
	require.Equal(t, "00:00", last.From.In(ny).Format("15:04"))
	require.Equal(t, time.Now().In(ny).Format(time.DateOnly), last.From.In(ny).Format(time.DateOnly))

	// What is taken is whole hours, which the answer names.
	part := statsOf(t, h, "?from=2026-01-02T03:04:05Z&to=2026-01-02T05:00:00Z")
	require.Equal(t, "2026-01-02T03:00:00Z 2026-01-02T05:00:00Z",
		part.From.Format(time.RFC3339)+" "+part.To.Format(time.RFC3339))
	require.Empty(t, part.Data)
	require.Zero(t, part.Total.Matched)
	require.Nil(t, part.Total.LatencyMs)
}

func TestStatsRefusesBadInput(t *testing.T) {
	h := hubtest.Start(t)
	for query, field := range map[string]string{
		"?bucket=week":    "bucket",
		"?by=mood":        "by",
		"?from=yesterday": "from",
		"?to=1":           "to",
		"?limit=3":        "limit",
		"?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z":            "from",
		"?from=2026-01-01T00:00:00Z&to=2026-02-01T01:00:00Z":            "from",
		"?from=2025-01-01T00:00:00Z&to=2026-03-01T00:00:00Z&bucket=day": "from",
		"?by=class&by=none": "by",
	} {
		a := h.Do("GET", "/v1/stats"+query, h.Owner, nil)
		require.Equal(t, 400, a.Status, "%s: %s", query, a.Body)
		require.Equal(t, field, a.JSON(t)["errors"].([]any)[0].(map[string]any)["field"], query)
	}
	require.Equal(t, 200, h.Do("GET", "/v1/stats?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", h.Owner, nil).Status,
		"31 days of hours")
	require.Equal(t, 200,
		h.Do("GET", "/v1/stats?from=2025-01-01T00:00:00Z&to=2026-02-05T00:00:00Z&bucket=day", h.Owner, nil).Status,
		"400 days")
}

// A zone that an older version took, and no clock of the hub has, is said; days of
// another zone would look right.
func TestStatsOfAZoneThatCannotBeRead(t *testing.T) {
	for _, zone := range []string{"localtime", "right/UTC", "Asia/Singapura", "Local"} {
		book := &access.Book{}
		book.PutTenant(access.Tenant{No: 7, CompanyID: "acme", Timezone: zone})
		a := &api.API{Figures: askedFigures{t: t}, Book: book}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/stats?bucket=day", nil)
		w := httptest.NewRecorder()
		a.Stats(w, r, access.Caller{Tenant: 7, CompanyID: "acme", Role: access.Owner}, nil)
		require.Equal(t, http.StatusBadRequest, w.Code, w.Body)
		require.Equal(t, "timezone", gjson.GetBytes(w.Body.Bytes(), "errors.0.field").String())
		require.Contains(t, w.Body.String(), "PATCH /v1/tenants/acme")
	}
}

// askedFigures checks what it is asked, and has too much to tell.
type askedFigures struct {
	search.Figures
	t *testing.T
}

func (p askedFigures) FindStats(_ context.Context, f search.StatsFilter) ([]search.StatsRow, error) {
	hours := f.To - f.From
	require.True(p.t, f.Tenant == 7 && f.Limit > 0 && f.From > 0 && hours >= 1, "%+v", f)
	require.True(p.t, hours <= 31*24 || f.Days != nil && hours <= 400*24, "%+v", f)
	return nil, search.ErrTooManyRows
}

func (p askedFigures) FindErrorStats(ctx context.Context, f search.StatsFilter) ([]search.ErrorStats, error) {
	_, err := p.FindStats(ctx, f)
	return nil, err
}

func (p askedFigures) FindEventStats(ctx context.Context, f search.StatsFilter) ([]search.EventStats, int64, error) {
	_, err := p.FindStats(ctx, f)
	return nil, 0, err
}

func (p askedFigures) FindMinuteStats(_ context.Context, f search.StatsFilter) ([]search.MinuteStats, error) {
	require.True(p.t, f.Tenant == 7 && f.From > 0 && f.From <= f.To && f.To-f.From <= 60, "%+v", f)
	return nil, search.ErrTooManyRows
}

func FuzzStatsQuery(f *testing.F) {
	for _, seed := range []string{
		"", "bucket=day&by=class", "from=1637068256419&to=2021-11-30T00:00:00Z&by=none",
		"from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
		"to=253402300799999", "from=253402300799999", "from=9999-12-31T23:59:59Z&bucket=day", "to=0001-01-01T00:00:00Z",
		"from=%00", "by=;", "bucket=minute&by=subscription", "bucket=minute&to=1637068256419", "by=error", "of=events&bucket=day",
		"format=csv&by=type",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		a := &api.API{Figures: askedFigures{t: t}, Book: &access.Book{}}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/stats", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		a.Stats(w, r, access.Caller{Tenant: 7, Role: access.Owner}, nil)
		require.Equal(t, http.StatusBadRequest, w.Code, w.Body)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	})
}

func TestTypes(t *testing.T) {
	h := hubtest.Start(t)
	for _, role := range []string{"ingest", "query", "auditor"} {
		key := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, fmt.Sprintf(`{"role":%q}`, role)).JSON(t)["key"].(string)
		require.Equal(t, 200, h.Do("GET", "/v1/types", key, nil).Status, role)
	}

	var list struct {
		Data []struct {
			Type, MessageID, Class, OrderKey string
			Internal                         bool
			Sample                           json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal(h.Do("GET", "/v1/types", h.Owner, nil).Body, &list))
	require.Len(t, list.Data, len(event.Types()))
	for _, typ := range list.Data {
		// Each sample can be sent as it is, but for those of the hub itself.
		a := h.Do("POST", "/v1/events/"+typ.Type, h.Owner, []byte(typ.Sample))
		if typ.Internal {
			require.Equal(t, 422, a.Status, typ.Type)
			continue
		}
		require.Equal(t, 202, a.Status, "%s: %s", typ.Type, a.Body)
		require.NotContains(t, string(a.Body), "warnings", typ.Type)
	}

	first := list.Data[0]
	require.Equal(t, []string{"cdr.call", "MainCDRInfo", "cdr", "cdr/<callID>"},
		[]string{first.Type, first.MessageID, first.Class, first.OrderKey})
}
