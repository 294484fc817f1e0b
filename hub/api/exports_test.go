package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/search"
)

// sendMany events in one request; their order keys begin with what a
// spreadsheet takes for a formula.
func sendMany(t *testing.T, h *hubtest.Hub, n int) {
	t.Helper()
	raised := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"eventsPerSecond":1000000}}`)
	require.Equal(t, 200, raised.Status, "%s", raised.Body)
	for done := 0; done < n; {
		var events []string
		for ; done < n && len(events) < 500; done++ {
			events = append(events, hubtest.CDR(fmt.Sprintf("=1+%d,\"\r\n", done), done))
		}
		a := h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(events, ",")+"]")
		require.Equal(t, 202, a.Status, "%s", a.Body)
	}
}

// An export is the whole list, page by page, in both formats.
func TestExportDeliveries(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t)
	sub := h.Subscribe(rec.URL, "maxInFlight", 64)["id"].(string)
	h.Subscribe(rec.URL, "events", []string{"call.*"})
	const n = 1203 // more than two pages
	sendMany(t, h, n)
	rec.Wait(t, n)
	hubtest.Eventually(t, "all recorded", func() bool {
		return len(list(t, h, h.Owner, "/v1/deliveries?state=pending", 500)) == 0
	})
	h.Send(hubtest.Ringing("c", 1))
	rec.Wait(t, n+2)
	query := "?type=cdr.*&state=delivered&subscription=" + sub
	want := list(t, h, h.Owner, "/v1/deliveries"+query, 500)
	require.Len(t, want, n)

	a := h.Do("GET", "/v1/exports/deliveries"+query+"&format=ndjson", auditor(t, h, false), nil)
	require.Equal(t, 200, a.Status)
	require.Equal(t, "application/x-ndjson", a.Header.Get("Content-Type"))
	var got []map[string]any
	for lines := bufio.NewScanner(bytes.NewReader(a.Body)); lines.Scan(); {
		var row map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		got = append(got, row)
	}
	require.Equal(t, want, got)

	a = h.Do("GET", "/v1/exports/deliveries"+query, h.Owner, nil)
	require.Equal(t, 200, a.Status)
	require.Equal(t, "text/csv; charset=utf-8; header=present", a.Header.Get("Content-Type"))
	require.Regexp(t, `^attachment; filename="deliveries-demo-\d{8}T\d{6}Z\.csv"$`, a.Header.Get("Content-Disposition"))
	require.NotContains(t, strings.ReplaceAll(string(a.Body), "\r\n", ""), "\r", "every line ends as RFC 4180 says")
	rows, err := csv.NewReader(bytes.NewReader(a.Body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, n+1)
	for i, row := range rows[1:] {
		for c, name := range rows[0] {
			value := want[i][name]
			switch value.(type) {
			case nil:
				value = map[string]any{"late": "false"}[name]
				if value == nil {
					value = ""
				}
			case float64:
				value = fmt.Sprintf("%.0f", value)
			}
			if name == "orderKey" {
				value = strings.ReplaceAll(value.(string), "\r\n", "\n") // as the reader folds them
			}
			require.Equal(t, value, row[c], name)
			require.NotContains(t, "=+-@\t\r", (row[c] + " ")[:1], "%s would be a formula", name)
		}
	}

	noted := list(t, h, h.Owner, "/v1/audit?action=delivery.export", 50)
	require.Len(t, noted, 2)
	require.Equal(t, map[string]any{"type": "cdr.*", "state": "delivered", "subscription": sub, "format": "ndjson"},
		noted[1]["after"])
}

func TestExportNothing(t *testing.T) {
	h := hubtest.Start(t)
	a := h.Do("GET", "/v1/exports/deliveries?format=csv", h.Owner, nil)
	require.Equal(t, 200, a.Status)
	require.True(t, strings.HasPrefix(string(a.Body), `"id","subscription",`))
	require.Equal(t, 1, strings.Count(string(a.Body), "\n"), "the header")
	a = h.Do("GET", "/v1/exports/deliveries?format=ndjson", h.Owner, nil)
	require.Equal(t, 200, a.Status)
	require.Empty(t, a.Body)
}

func TestExportBadInput(t *testing.T) {
	h := hubtest.Start(t)
	for query, field := range map[string]string{
		"format=xlsx": "format", "limit=5": "limit", "cursor=x": "cursor", "state=odd": "state", "httpStatus=7": "httpStatus",
		"subscription=x": "subscription",
	} {
		a := h.Do("GET", "/v1/exports/deliveries?"+query, h.Owner, nil)
		require.Equal(t, 400, a.Status, "%s", a.Body)
		require.Equal(t, field, a.JSON(t)["errors"].([]any)[0].(map[string]any)["field"])
	}
	require.Empty(t, list(t, h, h.Owner, "/v1/audit?action=delivery.export", 50), "nothing was exported")
}

// pages is a log that a test writes page by page, from 1.
type pages struct {
	emptyPast
	page func(n int) (page []search.Delivery, more bool, err error)
}

func (p pages) FindDeliveries(
	_ context.Context, f search.DeliveryFilter,
) ([]search.Delivery, *search.DeliveryCursor, error) {
	n := int64(1)
	if f.After != nil {
		n = f.After.Seq
	}
	page, more, err := p.page(int(n))
	if !more {
		return page, nil, err
	}
	return page, &search.DeliveryCursor{Seq: n + 1}, err
}

type noAudit struct{ api.AuditStore }

func (noAudit) Note(context.Context, access.Caller, audit.Deed) error { return nil }

// exporting serves exports of a log to tenant 7; ended hears of each that ended.
func exporting(t *testing.T, page func(n int) ([]search.Delivery, bool, error)) (url string, ended chan struct{}) {
	t.Helper()
	log := pages{emptyPast{t: t}, page}
	api := &api.API{
		Search: log, Subscriptions: log, Audit: noAudit{}, Book: &access.Book{}, Log: slog.New(slog.DiscardHandler),
	}
	ended = make(chan struct{}, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		api.ExportDeliveries(w, r, access.Caller{Tenant: 7, Role: access.Owner, CompanyID: "acme"}, nil)
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(srv.Close)
	return srv.URL, ended
}

// reply is an answer whose body is still coming.
type reply struct {
	Status int
	Header http.Header
	Body   io.Reader
}

func fetch(t *testing.T, ctx context.Context, url string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return reply{resp.StatusCode, resp.Header, resp.Body}
}

func TestCellsAreNoFormulas(t *testing.T) {
	dangerous := []string{
		"=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "=", "a=1", "", "'=1", "a\"b,c\r\nd",
	}
	var page []search.Delivery
	for _, s := range dangerous {
		page = append(page, search.Delivery{EventID: s, OrderKey: s})
	}
	url, _ := exporting(t, func(int) ([]search.Delivery, bool, error) { return page, false, nil })
	rows, err := csv.NewReader(fetch(t, t.Context(), url).Body).ReadAll()
	require.NoError(t, err)
	for i, row := range rows[1:] {
		want := strings.ReplaceAll(dangerous[i], "\r", "") // the only line end within a cell is that of the file
		if s := dangerous[i]; s != "" && strings.ContainsAny(s[:1], "=+-@\t\r\n") {
			want = "'" + want
		}
		require.Equal(t, []string{want, want}, []string{row[2], row[4]})
	}
	require.Len(t, rows, len(dangerous)+1)
}

// A page may be empty although more follows.
func TestExportGoesOnAfterAnEmptyPage(t *testing.T) {
	url, _ := exporting(t, func(n int) ([]search.Delivery, bool, error) {
		if n < 3 {
			return nil, true, nil
		}
		return []search.Delivery{{EventID: "e"}}, false, nil
	})
	body, err := io.ReadAll(fetch(t, t.Context(), url+"?format=ndjson").Body)
	require.NoError(t, err)
	require.Contains(t, string(body), `"event":"e"`)
}

// Half an export cannot be taken for a whole one.
func TestExportThatFailsIsCutOff(t *testing.T) {
	url, ended := exporting(t, func(n int) ([]search.Delivery, bool, error) {
		if n == 3 {
			return nil, true, errors.New("disk")
		}
		return []search.Delivery{{EventID: "e"}}, true, nil
	})
	resp := fetch(t, t.Context(), url)
	require.Equal(t, 200, resp.Status)
	_, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	<-ended
}

func TestExportOfWhoHungUpStops(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	url, ended := exporting(t, func(int) ([]search.Delivery, bool, error) {
		return make([]search.Delivery, 500), true, nil // without an end
	})
	resp := fetch(t, ctx, url)
	_, err := io.ReadFull(resp.Body, make([]byte, 1<<20))
	require.NoError(t, err)
	hangUp()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		require.FailNow(t, "it goes on")
	}
}

// Two at a time; when one has ended, another may begin.
func TestExportsAtATime(t *testing.T) {
	release := make(chan struct{})
	url, ended := exporting(t, func(n int) ([]search.Delivery, bool, error) {
		if n == 2 {
			<-release
		}
		return []search.Delivery{{EventID: "e"}}, n == 1, nil
	})
	for range 2 {
		require.Equal(t, 200, fetch(t, t.Context(), url).Status)
	}
	third := fetch(t, t.Context(), url)
	<-ended
	require.Equal(t, 429, third.Status)
	require.Equal(t, "1", third.Header.Get("Retry-After"))
	close(release)
	<-ended
	<-ended
	require.Equal(t, 200, fetch(t, t.Context(), url).Status)
}
