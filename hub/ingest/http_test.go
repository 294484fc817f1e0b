package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
)

// shelf is a store: a slice with a method.
type shelf struct {
	mu     sync.Mutex
	events []*event.Event
	err    error
	gate   chan struct{} // not nil: Accept waits for it to close
	asked  chan struct{} // not nil: Accept says that it was called
}

func (s *shelf) Accept(_ context.Context, events []*event.Event) ([]Verdict, error) {
	if s.asked != nil {
		s.asked <- struct{}{}
	}
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	verdicts := make([]Verdict, len(events))
	for i, e := range events {
		if e.ID == "" {
			e.ID = fmt.Sprintf("made-%d", len(s.events)+1)
		}
		verdicts[i] = s.verdict(e)
		if verdicts[i] == Stored {
			s.events = append(s.events, e)
			e.Seq = int64(len(s.events))
		}
	}
	return verdicts, nil
}

func (s *shelf) verdict(e *event.Event) Verdict {
	for _, old := range s.events {
		switch {
		case old.Tenant != e.Tenant || old.ID != e.ID:
		case old.Hash == e.Hash:
			return Known
		default:
			return Conflict
		}
	}
	return Stored
}

var caller = access.Caller{Tenant: 7, CompanyID: "acme-1", KeyID: "key-1", Role: access.Ingest}

// sent is a request to be posted.
type sent struct {
	typ, body string
	header    []string // name, value, …
	caller    access.Caller
}

func (h *Handler) post(s sent) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/v1/events", strings.NewReader(s.body))
	for i := 0; i < len(s.header); i += 2 {
		r.Header.Set(s.header[i], s.header[i+1])
	}
	if s.caller.Tenant == 0 && s.caller.Role == "" {
		s.caller = caller
	}
	w := httptest.NewRecorder()
	h.Serve(w, r, s.caller, s.typ)
	return w
}

// results of an answer in short: "id status", or "id code field".
func results(t *testing.T, w *httptest.ResponseRecorder) []string {
	t.Helper()
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var answer struct{ Results []Result }
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&answer))
	var rs []string
	for _, r := range answer.Results {
		s := r.ID + " " + string(r.Status)
		if r.Status == Rejected {
			s = strings.TrimSpace(r.ID + " " + r.Error.Code + " " + r.Error.Field)
			require.NotEmpty(t, r.Error.Message)
		} else {
			require.Nil(t, r.Error)
		}
		for _, w := range r.Warnings {
			s += " " + w.Code + w.Field
		}
		rs = append(rs, s)
	}
	return rs
}

func held(id, call string) string {
	return `{"id":"` + id + `","type":"call.held","data":{"callID":"` + call + `"}}`
}

func zip(t testing.TB, s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, s)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func TestAnswers(t *testing.T) {
	big := `{"id":"big","type":"call.held","data":{"callID":"1","x":"` + strings.Repeat("x", event.MaxSize) + `"}}`
	deep := `{"id":"deep","type":"call.held","data":{"callID":"1","x":` + strings.Repeat("[", 5000) +
		strings.Repeat("]", 5000) + `}}`
	lines := []string{"Content-Type", "application/x-ndjson; charset=utf-8"}
	for name, c := range map[string]struct {
		sent
		status int
		want   []string
	}{
		"one":             {sent{body: held("a", "1")}, 202, []string{"a accepted"}},
		"one without id":  {sent{body: `{"messageID":"EventHeld","callID":"1"}`}, 202, []string{"made-1 accepted"}},
		"one of an array": {sent{body: "[" + held("a", "1") + "]"}, 202, []string{"a accepted"}},
		"odd": {
			sent{body: `{"id":"a","type":"cdr.call","data":{"callID":"1","callResult":99}}`},
			202,
			[]string{"a accepted unknown_code/data/callResult"},
		},
		"bare": {sent{typ: "call.held", body: `{"callID":"1"}`}, 202, []string{"made-1 accepted"}},
		"bare array": {
			sent{typ: "EventHeld", body: `[{"callID":"1"},{"callID":2}]`}, 202, []string{"made-1 accepted", "made-2 accepted"},
		},
		"gzip": {
			sent{body: zip(t, held("a", "1")), header: []string{"Content-Encoding", "gzip"}}, 202, []string{"a accepted"},
		},
		"gzip members": {
			sent{body: zip(t, "["+held("a", "1")) + zip(t, "]"), header: []string{"Content-Encoding", "GZIP"}},
			202,
			[]string{"a accepted"},
		},
		"lines": {
			sent{body: held("a", "1") + "\r\n\n  \n" + held("b", "1"), header: lines}, 202, []string{"a accepted", "b accepted"},
		},
		"bare lines": {
			sent{typ: "call.held", body: "{\"callID\":1}\n{\"callID\":2}\n", header: lines},
			202,
			[]string{"made-1 accepted", "made-2 accepted"},
		},
		"a mark": {sent{body: "\xef\xbb\xbf" + held("a", "1")}, 202, []string{"a accepted"}},
		"a mark before lines": {
			sent{body: "\xef\xbb\xbf" + held("a", "1") + "\n" + held("b", "1"), header: lines},
			202,
			[]string{"a accepted", "b accepted"},
		},
		"a mark, zipped": {
			sent{typ: "call.held", body: zip(t, "\xef\xbb\xbf"+`{"callID":"1"}`), header: []string{"Content-Encoding", "gzip"}},
			202,
			[]string{"made-1 accepted"},
		},
		"a charset as coding": {
			sent{body: held("a", "1"), header: []string{"Content-Encoding", "UTF-8"}}, 202, []string{"a accepted"},
		},
		"whole numbers": {
			sent{
				typ:  "cdr.call",
				body: `{"callID":1001.0,"startTime":1637068256419.0,"endTime":1.637068256419e12,"callResult":8.0,"duration":0.0}`,
			},
			202,
			[]string{"made-1 accepted"},
		},
		"a fraction": {
			sent{typ: "cdr.call", body: `{"callID":"1","duration":1.5}`}, 422, []string{"wrong_type /duration"},
		},
		"the same twice": {
			sent{body: "[" + held("a", "1") + "," + held("a", "1") + "]"}, 202, []string{"a accepted", "a duplicate"},
		},
		"same id, other": {
			sent{body: "[" + held("a", "1") + "," + held("a", "2") + "]"}, 207, []string{"a accepted", "a id_conflict /id"},
		},
		"malformed": {sent{body: `{"callID":`}, 400, []string{"malformed_json"}},
		"not UTF-8": {sent{body: held("a", "\xff")}, 400, []string{"a invalid_utf8"}},
		"wrong type": {
			sent{body: `{"type":"call.held","data":{"callID":true}}`}, 422, []string{"wrong_type /data/callID"},
		},
		"unknown type": {
			sent{body: `{"type":"call.flown","data":{"callID":"1"}}`}, 422, []string{"unknown_type /type"},
		},
		"foreign company": {
			sent{body: `{"type":"call.held","data":{"callID":"1","companyId":"other"}}`},
			422,
			[]string{"foreign_company /data/companyId"},
		},
		"huge number": {
			sent{typ: "cdr.call", body: `{"callID":"1","duration":1` + strings.Repeat("0", 4000) + `}`},
			422,
			[]string{"out_of_range /duration"},
		},
		"huge unknown": {
			sent{typ: "cdr.call", body: `{"callID":"1","x":1e` + strings.Repeat("9", 4000) + `}`},
			202,
			[]string{"made-1 accepted"},
		},
		"too large": {sent{body: big}, 413, []string{"big too_large"}},
		"too deep":  {sent{body: deep}, 422, []string{"deep too_deep"}},
		"strict": {
			sent{
				typ: "cdr.call", body: `{"callID":"1","callResult":99}`,
				caller: access.Caller{Tenant: 7, CompanyID: "acme-1", Strict: true},
			},
			422,
			[]string{"unknown_code /callResult"},
		},
		"some bad": {
			sent{body: "[7," + held("a", "1") + "," + big + "," + deep + `,{"id":"c","type":"x","data":{}}]`},
			207,
			[]string{"wrong_type", "a accepted", "big too_large", "deep too_deep", "c unknown_type /type"},
		},
		"some bad lines": {
			sent{body: "{\"id\n" + held("a", "1") + "\nnull\n[" + held("b", "2") + "]", header: lines},
			207,
			[]string{"malformed_json", "a accepted", "wrong_type", "wrong_type"},
		},
		"all bad":             {sent{body: "[7,8]"}, 400, []string{"wrong_type", "wrong_type"}},
		"one bad in an array": {sent{body: "[7]"}, 422, []string{"wrong_type"}},
	} {
		store := &shelf{}
		w := (&Handler{Store: store}).post(c.sent)
		require.Equal(t, c.status, w.Code, name)
		require.Equal(t, c.want, results(t, w), name)
		accepted := 0
		for _, r := range c.want {
			if strings.Contains(r, " accepted") {
				accepted++
			}
		}
		require.Len(t, store.events, accepted, name)
	}
}

func TestSameIDAgain(t *testing.T) {
	h := &Handler{Store: &shelf{}}
	require.Equal(t, 202, h.post(sent{body: held("a", "1")}).Code)
	w := h.post(sent{body: ` { "data":{"callID": "1"}, "type":"EventHeld", "time":5000000000000, "id":"a"}`})
	require.Equal(t, 202, w.Code)
	require.Equal(t, []string{"a duplicate"}, results(t, w))
	w = h.post(sent{body: held("a", "2")})
	require.Equal(t, 409, w.Code)
	require.Equal(t, []string{"a id_conflict /id"}, results(t, w))
}

func TestRefusedRequests(t *testing.T) {
	many := "[" + strings.Repeat(`{},`, MaxEvents) + "{}]"
	bomb := zip(t, strings.Repeat(" ", 2*MaxRequest))
	zipped := zip(t, held("a", "1"))
	gzipped := []string{"Content-Encoding", "gzip"}
	lines := []string{"Content-Type", "application/jsonl"}
	for name, c := range map[string]struct {
		sent
		status int
	}{
		"empty":              {sent{}, 400},
		"blank":              {sent{body: " \n\t"}, 400},
		"empty array":        {sent{body: "[]"}, 400},
		"no lines":           {sent{body: "\n\n", header: lines}, 400},
		"broken array":       {sent{body: "[" + held("a", "1") + ","}, 400},
		"array and more":     {sent{body: "[" + held("a", "1") + "] x"}, 400},
		"truncated gzip":     {sent{body: zipped[:len(zipped)-9], header: gzipped}, 400},
		"gzip, one bit off":  {sent{body: zipped[:len(zipped)-6] + "\x00" + zipped[len(zipped)-5:], header: gzipped}, 400},
		"gzip header only":   {sent{body: zipped[:5], header: gzipped}, 400},
		"empty gzip":         {sent{header: gzipped}, 400},
		"no gzip":            {sent{body: held("a", "1"), header: gzipped}, 400},
		"gzip bomb":          {sent{body: bomb, header: gzipped}, 413},
		"too large":          {sent{body: strings.Repeat(" ", MaxRequest) + "x"}, 413},
		"too many":           {sent{body: many}, 413},
		"too many lines":     {sent{body: strings.Repeat(held("", "1")+"\n", MaxEvents+1), header: lines}, 413},
		"brotli":             {sent{body: held("a", "1"), header: []string{"Content-Encoding", "br"}}, 415},
		"xml":                {sent{body: "<a/>", header: []string{"Content-Type", "text/xml"}}, 415},
		"unknown type":       {sent{typ: "call.flown", body: `{"callID":"1"}`}, 422},
		"the hub's own type": {sent{typ: "hub.test", body: `{}`}, 422},
		"a loop":             {sent{body: held("a", "1"), header: []string{"X-Hookline-Hops", "9"}}, 422},
		"odd hops":           {sent{body: held("a", "1"), header: []string{"X-Hookline-Hops", "-1"}}, 400},
		"platform":           {sent{body: held("a", "1"), caller: access.Caller{Role: access.Platform}}, 403},
	} {
		store := &shelf{}
		h := &Handler{Store: store, Bodies: roomy()}
		w := h.post(c.sent)
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), name)
		var p struct {
			Status        int
			Title, Detail string
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), name)
		require.Equal(t, c.status, p.Status)
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Detail)
		require.Empty(t, store.events, "%s: nothing is taken", name)
		require.Zero(t, h.Bodies.Held(), name)
	}
}

func TestLimitsThatJustFit(t *testing.T) {
	store := &shelf{}
	h := &Handler{Store: store}
	item := `{"type":"call.held","data":{"callID":"1"}}`
	require.Equal(t, 202, h.post(sent{body: "[" + strings.Repeat(item+",", MaxEvents-1) + item + "]"}).Code)
	h = &Handler{Store: store}
	require.Equal(t, 202, h.post(sent{body: item + strings.Repeat(" ", MaxRequest-len(item))}).Code)
	pad := `{"type":"call.held","data":{"callID":"1","x":""}}`
	full := strings.Replace(pad, `""`, `"`+strings.Repeat("x", event.MaxSize-len(pad))+`"`, 1)
	require.Len(t, full, event.MaxSize)
	require.Equal(t, 202, h.post(sent{body: full}).Code)
}

func TestEventsCarryWhereTheyCameFrom(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	store := &shelf{}
	h := &Handler{Store: store}
	h.post(sent{body: held("a", "1"), header: []string{"traceparent", trace, "X-Hookline-Hops", "3"}})
	require.Len(t, store.events, 1)
	e := store.events[0]
	require.Equal(t, []any{int64(7), "acme-1", "key-1", "http", trace, 3},
		[]any{e.Tenant, e.CompanyID, e.KeyID, e.Source, e.Traceparent, e.Hops})
	require.Equal(t, `{"messageID":"EventHeld","companyId":"acme-1","callID":"1"}`, string(e.Body))

	for _, bad := range []string{
		"x", strings.ToUpper(trace), "ff" + trace[2:], trace + "-1", strings.Replace(trace, "-", "_", 1),
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
	} {
		require.Empty(t, traceOf(http.Header{"Traceparent": {bad}}), bad)
	}
}

func TestStoreErrors(t *testing.T) {
	var log bytes.Buffer
	own := fmt.Errorf("%w: %w", ErrBusy, &fair.Full{Own: true, What: "events that wait", After: time.Second})
	for err, want := range map[error]int{
		ErrBusy: 503, fmt.Errorf("queue: %w", ErrBusy): 503, own: 429, errors.New("secret disk"): 500,
	} {
		h := &Handler{Store: &shelf{err: err}, Log: slog.New(slog.NewTextHandler(&log, nil))}
		w := h.post(sent{body: held("a", "1")})
		require.Equal(t, want, w.Code)
		require.Equal(t, want != 500, w.Header().Get("Retry-After") == "1")
		require.NotContains(t, w.Body.String(), "secret")
	}
	require.Equal(t, 1, strings.Count(log.String(), "secret disk"))
}

func TestTenantPastItsLimit(t *testing.T) {
	now := time.UnixMilli(1637068256419)
	store := &shelf{}
	h := &Handler{
		Store: store, Now: func() time.Time { return now }, Limit: func(tenant int64) int { return int(tenant) * 100 },
	}
	item := `{"type":"call.held","data":{"callID":"1"}}`
	batch := "[" + strings.Repeat(item+",", MaxEvents-1) + item + "]"

	require.Equal(t, 202, h.post(sent{body: batch}).Code, "a full request passes whatever the limit")
	w := h.post(sent{body: item})
	require.Equal(t, 429, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	now = now.Add(time.Second) // 700 more
	w = h.post(sent{body: batch})
	require.Equal(t, 429, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"), "300 are missing: 429 ms")
	require.Len(t, store.events, MaxEvents, "nothing is taken of what is refused")
	require.Equal(t, 202, h.post(sent{body: item}).Code, "it cost one token, not 1,000")
	require.Equal(t, 202, h.post(sent{body: item, caller: access.Caller{Tenant: 8, CompanyID: "other"}}).Code,
		"others are not affected")
	h.Limit = nil
	now = now.Add(time.Second)
	require.Equal(t, 202, h.post(sent{body: batch}).Code, "a new limit holds at once: 698 and 1,000 more, at most 1,000")
}

func TestBucketsOfIdleTenantsAreDropped(t *testing.T) {
	var b buckets
	now := time.UnixMilli(1637068256419)
	b.find(-1, 10, now).AllowN(now, 1000) // empty for 100 s
	for tenant := range int64(10 * firstSweep) {
		b.find(tenant, 1000, now).AllowN(now, 1)
		now = now.Add(time.Millisecond)
	}
	require.LessOrEqual(t, len(b.limiters), firstSweep)
	require.Less(t, b.find(-1, 10, now).TokensAt(now), 200.0, "one that is not full stays")
}

// roomy is a budget in which every body has room.
func roomy() *fair.Budget[int64] { return &fair.Budget[int64]{Total: 64 << 20} }

func TestBytesInFlightAreBounded(t *testing.T) {
	store := &shelf{gate: make(chan struct{}), asked: make(chan struct{})}
	h := &Handler{Store: store, Bodies: &fair.Budget[int64]{Total: 2*firstMost + firstChunk}}
	body := held("a", "1") + strings.Repeat(" ", firstMost-200)
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- h.post(sent{body: body}) }()
	<-store.asked // it holds its bytes until its commit

	w := h.post(sent{body: body})
	require.Equal(t, 503, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	other := sent{body: held("a", "1"), caller: access.Caller{Tenant: 8, CompanyID: "other"}}
	others := make(chan *httptest.ResponseRecorder)
	go func() { others <- h.post(other) }()
	<-store.asked // there is room for what another tenant sends
	close(store.gate)
	require.Equal(t, 202, (<-others).Code)
	require.Equal(t, 202, (<-first).Code)
	store.asked = nil
	require.Equal(t, 202, h.post(sent{body: body}).Code)
	require.Zero(t, h.Bodies.Held())
}

func TestPooledMemoryStaysOutOfEvents(t *testing.T) {
	store := &shelf{}
	h := &Handler{Store: store}
	for i := range 50 {
		call := fmt.Sprintf("call-%02d", i)
		h.post(sent{
			body: held(call, call), header: []string{"traceparent", fmt.Sprintf("00-%032d-00f067aa0ba902b7-01", i+1)},
		})
	}
	for i, e := range store.events {
		call := fmt.Sprintf("call-%02d", i)
		require.Equal(t, []string{call, "call/" + call}, []string{e.ID, e.OrderKey})
		require.Contains(t, string(e.Body), call)
		require.Contains(t, e.Traceparent, fmt.Sprintf("%032d", i+1))
	}
}

// On a real connection: no Content-Length, and a sender that stops half way.
func TestBodiesThatComeInPieces(t *testing.T) {
	h := &Handler{Store: &shelf{}}
	gate := fair.Gate{Body: fair.Pace{Stall: 50 * time.Millisecond}}
	srv := httptest.NewServer(gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request,
	) {
		h.Serve(w, r, caller, "")
	})))
	t.Cleanup(srv.Close)

	post := func(body io.Reader) int {
		resp, err := srv.Client().Post(srv.URL, "application/json", body)
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		return resp.StatusCode
	}
	require.Equal(t, 202, post(io.MultiReader(strings.NewReader(held("a", "1")), strings.NewReader("\n"))), "chunked")

	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	go func() { _, _ = io.WriteString(w, `{"type":`) }() // and no more
	require.Equal(t, http.StatusRequestTimeout, post(r))
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := &Handler{Store: &shelf{}, Metrics: NewMetrics(reg)}
	h.post(sent{body: "[7," + held("a", "1") + "," + held("a", "1") +
		`,{"type":"cdr.call","data":{"callID":"1","callResult":99}}]`})
	h.post(sent{body: "["})
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				got[f.GetName()+" "+l.GetValue()] = m.GetCounter().GetValue()
			}
			if f.GetName() == "hookline_ingest_request_bytes" {
				got[f.GetName()] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	require.Equal(t, map[string]float64{
		"hookline_ingest_events_total accepted":       2,
		"hookline_ingest_events_total duplicate":      1,
		"hookline_ingest_events_total rejected":       1,
		"hookline_ingest_refused_requests_total 400":  1,
		"hookline_ingest_warnings_total unknown_code": 1,
		"hookline_ingest_request_bytes":               2,
	}, got)
}

func FuzzServe(f *testing.F) {
	f.Add([]byte(held("a", "1")), "", "", "")
	f.Add([]byte("["+held("a", "1")+",{}]"), "application/json", "identity", "call.held")
	f.Add([]byte(held("a", "1")+"\n{\n"), "application/x-ndjson", "", "")
	f.Add([]byte(zip(f, held("a", "1"))), "", "gzip", "")
	f.Add([]byte(zip(f, strings.Repeat("[", 1<<20))), "", "gzip", "")
	allowed := []int{202, 207, 400, 409, 413, 415, 422}
	f.Fuzz(func(t *testing.T, body []byte, contentType, encoding, typ string) {
		store := &shelf{}
		h := &Handler{Store: store, Bodies: roomy()}
		r := httptest.NewRequest("POST", "/v1/events", bytes.NewReader(body))
		r.Header["Content-Type"], r.Header["Content-Encoding"] = []string{contentType}, []string{encoding}
		w := httptest.NewRecorder()
		h.Serve(w, r, caller, typ)
		require.Contains(t, allowed, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()), "%s", w.Body)
		require.Zero(t, h.Bodies.Held())
		if w.Code >= 400 {
			require.Empty(t, store.events)
		}
		for _, e := range store.events {
			require.True(t, json.Valid(e.Body))
			require.LessOrEqual(t, len(e.Body), event.MaxSize+200)
		}
	})
}

// nothing takes every event and keeps none.
type nothing struct{ verdicts []Verdict }

func (n nothing) Accept(_ context.Context, es []*event.Event) ([]Verdict, error) {
	for _, e := range es {
		e.ID = "0190163d-8694-739b-aea5-966c26f8ad91"
	}
	return n.verdicts[:len(es)], nil
}

func BenchmarkServe(b *testing.B) {
	one := `{"id":"pbx1-6bf3cbb1-cdr","type":"cdr.party","time":1637068408120,"data":` +
		string(event.Sample(event.CDRParty)) + `}`
	for name, body := range map[string]string{
		"one":     one,
		"hundred": "[" + strings.Repeat(one+",", 99) + one + "]",
	} {
		b.Run(name, func(b *testing.B) {
			h := &Handler{Store: nothing{make([]Verdict, MaxEvents)}, Limit: func(int64) int { return 1e9 }}
			src := strings.NewReader(body)
			r := httptest.NewRequest("POST", "/v1/events", src)
			r.Header.Set("Content-Type", "application/json")
			w := &discard{h: http.Header{}}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(body)
				h.Serve(w, r, caller, "")
				if w.code != 202 {
					b.Fatal(w.code)
				}
			}
		})
	}
}

type discard struct {
	h    http.Header
	code int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(code int)        { d.code = code }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
