package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
)

const (
	company = "acme"
	appKey  = "0123456789abcdef0123456789abcdef"
)

// server is a sink on a real socket that keeps copies of its pushes.
type server struct {
	*Sink
	url    string
	mu     sync.Mutex
	pushes []Push
}

func start(t testing.TB, cfg Config) *server {
	t.Helper()
	sv := &server{}
	cfg.OnPush = func(p *Push) {
		c := *p
		c.Body = bytes.Clone(p.Body)
		sv.mu.Lock()
		sv.pushes = append(sv.pushes, c)
		sv.mu.Unlock()
	}
	s, err := New(cfg)
	require.NoError(t, err)
	ts := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); ts.Close() })
	sv.Sink, sv.url = s, ts.URL
	return sv
}

func (sv *server) last(t testing.TB) Push {
	t.Helper()
	sv.mu.Lock()
	defer sv.mu.Unlock()
	require.NotEmpty(t, sv.pushes)
	return sv.pushes[len(sv.pushes)-1]
}

// push is what the hub would send.
type push struct {
	id, typ, body string
	seq           int
	kind          string // encryption
	at            time.Time
	header        map[string]string
}

func (p push) request(t testing.TB, url string) *http.Request {
	t.Helper()
	at := p.at
	if at.IsZero() {
		at = time.Now()
	}
	m := signing.Message{
		ID: p.id, CompanyID: company, At: at.UnixMilli(), RandomCode: "0123456789abcdef", Body: []byte(p.body),
	}
	if p.kind != "" {
		sealed, err := signing.Seal(p.kind, signing.DeriveKey(p.kind, appKey), &m, make([]byte, signing.NonceSize(p.kind)))
		require.NoError(t, err)
		m.Body = sealed
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(m.Body))
	require.NoError(t, err)
	signing.Sign(r.Header, &m, appKey)
	r.Header.Set("X-Hookline-Event", p.typ)
	r.Header.Set("X-Hookline-Sequence", strconv.Itoa(p.seq))
	r.Header.Set("X-Hookline-Attempt", "1")
	if p.kind != "" {
		r.Header.Set("X-Hookline-Encryption", p.kind)
	}
	for k, v := range p.header {
		r.Header.Set(k, v)
	}
	return r
}

func (p push) send(t testing.TB, url string) int {
	t.Helper()
	resp, err := client.Do(p.request(t, url))
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func id(sub, seq int) string { return delivery.PublicID(int64(sub), int64(seq), 1763600000000) }

func ringing(sub, seq int, call string) push {
	return push{
		id: id(sub, seq), typ: "call.ringing", seq: seq,
		body: `{"messageID":"EventRinging","companyId":"acme","callID":"` + call + `"}`,
	}
}

func TestVerdicts(t *testing.T) {
	good := ringing(1, 1, "c1")
	for name, tc := range map[string]struct {
		cfg    Config
		change func(*push)
		after  func(*http.Request)
		want   Verdict
	}{
		"no key":              {want: Off, cfg: Config{CompanyID: company}},
		"good":                {want: Good, cfg: Config{CompanyID: company, AppKeys: []string{appKey}}},
		"company of the body": {want: Good, cfg: Config{AppKeys: []string{appKey}}},
		"second key":          {want: Good, cfg: Config{CompanyID: company, AppKeys: []string{"another-key-of-16", appKey}}},
		"other key":           {want: Bad, cfg: Config{CompanyID: company, AppKeys: []string{"another-key-of-16"}}},
		"other company":       {want: Bad, cfg: Config{CompanyID: "other", AppKeys: []string{appKey}}},
		"old": {
			want: Stale, cfg: Config{CompanyID: company, AppKeys: []string{appKey}},
			change: func(p *push) { p.at = time.Now().Add(-6 * time.Minute) },
		},
		"old, any age": {
			want: Good, cfg: Config{CompanyID: company, AppKeys: []string{appKey}, Tolerance: -1},
			change: func(p *push) { p.at = time.Now().Add(-6 * time.Minute) },
		},
		"not looked at": {
			want: Off, cfg: Config{CompanyID: company, AppKeys: []string{"another-key-of-16"}, SkipVerify: true},
		},
		"sealed, only opened": {
			want: Off, cfg: Config{CompanyID: company, AppKeys: []string{appKey}, SkipVerify: true},
			change: func(p *push) { p.kind = signing.GCM },
		},
		"unsigned": {
			want: Bad, cfg: Config{CompanyID: company, AppKeys: []string{appKey}},
			after: func(r *http.Request) { r.Header.Del("X-Log-Sign"); delete(r.Header, "X-Log-Sign") },
		},
		"sealed": {
			want: Good, cfg: Config{CompanyID: company, AppKeys: []string{appKey}},
			change: func(p *push) { p.kind = signing.GCM },
		},
		"sealed, cbc": {
			want: Good, cfg: Config{CompanyID: company, AppKeys: []string{appKey}},
			change: func(p *push) { p.kind = signing.CBC },
		},
		"sealed, other key": {
			want: Unopened, cfg: Config{CompanyID: company, AppKeys: []string{appKey}, EncryptionKey: make([]byte, 32)},
			change: func(p *push) { p.kind = signing.GCM },
		},
		"sealed, no key": {
			want: Unopened, cfg: Config{CompanyID: company}, change: func(p *push) { p.kind = signing.GCM },
		},
	} {
		t.Run(name, func(t *testing.T) {
			sv := start(t, tc.cfg)
			p := good
			if tc.change != nil {
				tc.change(&p)
			}
			r := p.request(t, sv.url)
			if tc.after != nil {
				tc.after(r)
			}
			resp, err := client.Do(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			got := sv.last(t)
			require.Equal(t, tc.want, got.Verdict, got.Error)
			require.Equal(t, tc.want.bad(), sv.Stats().BadSignatures == 1)
			if got.Verdict != Unopened {
				require.Equal(t, p.body, string(got.Body))
				require.Equal(t, "call/c1", got.OrderKey)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	late, replay := map[string]string{"X-Hookline-Late": "true"}, map[string]string{"X-Hookline-Replay": "true"}
	with := func(p push, h map[string]string) push { p.header = h; return p }
	for name, tc := range map[string]struct {
		pushes     []push
		query      string
		inversions int64
	}{
		"in order": {pushes: []push{ringing(1, 1, "a"), ringing(1, 2, "a"), ringing(1, 3, "a")}},
		"inverted": {pushes: []push{ringing(1, 2, "a"), ringing(1, 1, "a")}, inversions: 1},
		"two behind the highest": {
			pushes: []push{ringing(1, 3, "a"), ringing(1, 1, "a"), ringing(1, 2, "a")}, inversions: 2,
		},
		"other keys flow":          {pushes: []push{ringing(1, 2, "a"), ringing(1, 1, "b")}},
		"other subscriptions flow": {pushes: []push{ringing(1, 2, "a"), ringing(2, 1, "a")}},
		"duplicate of a taken one": {pushes: []push{ringing(1, 1, "a"), ringing(1, 2, "a"), ringing(1, 1, "a")}},
		"retry after a later one": {
			pushes: []push{ringing(1, 1, "a"), ringing(1, 2, "a"), ringing(1, 1, "a")}, query: "/?status=503", inversions: 1,
		},
		"late says so":             {pushes: []push{ringing(1, 2, "a"), with(ringing(1, 1, "a"), late)}},
		"replay says so":           {pushes: []push{ringing(1, 2, "a"), with(ringing(1, 1, "a"), replay)}},
		"a late one moves nothing": {pushes: []push{with(ringing(1, 5, "a"), late), ringing(1, 4, "a")}},
		"no type header, messageID": {
			pushes:     []push{with(ringing(1, 2, "a"), map[string]string{"X-Hookline-Event": ""}), ringing(1, 1, "a")},
			inversions: 1,
		},
		"sealed ones are opened": {
			pushes:     []push{func() push { p := ringing(1, 2, "a"); p.kind = signing.GCM; return p }(), ringing(1, 1, "a")},
			inversions: 1,
		},
		"without a key: no order": {pushes: []push{
			{id: id(1, 2), typ: "hub.test", seq: 2, body: "{}"}, {id: id(1, 1), typ: "hub.test", seq: 1, body: "{}"},
		}},
		"same agent by its UUID only": {
			pushes: []push{
				{id: id(1, 2), typ: "agent.status", seq: 2, body: `{"agentUUID":"u","agentID":"1"}`},
				{id: id(1, 1), typ: "agent.status", seq: 1, body: `{"agentUUID":"u"}`},
			},
			inversions: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var shouts []string
			sv := start(t,
				Config{
					CompanyID: company, AppKeys: []string{appKey}, OnInversion: func(p *Push) { shouts = append(shouts, Shout(p)) },
				})
			for _, p := range tc.pushes {
				p.send(t, sv.url+tc.query)
			}
			require.Equal(t, tc.inversions, sv.Stats().Inversions)
			require.Len(t, shouts, int(tc.inversions))
		})
	}
}

func TestOrderKeys(t *testing.T) {
	body := []byte(`{"callID":" c ","partyId":"p","agentID":"1001","contactId":"q","chatId":"h","visitorId":"v"}`)
	want := map[event.Type]string{
		event.CDRCall: "cdr/c", event.CDRParty: "cdr/c/p", event.CDRBotCall: "bot/c", event.CDRBotParty: "bot/c/p",
		event.AgentStatus: "agent/1001", event.CallPartyError: "call/c", event.CallAgentError: "call/c",
		event.QueueEntered: "queue/q", event.QueueLeft: "queue/q", event.VisitorArrived: "visitor/v",
		event.VisitorLeft: "visitor/v",
	}
	for _, ty := range event.Types() {
		w, given := want[ty]
		switch {
		case given || ty.Internal():
		case strings.HasPrefix(ty.String(), "call."):
			w = "call/c"
		case strings.HasPrefix(ty.String(), "chat."):
			w = "chat/h"
		default:
			t.Fatalf("no expectation for %s", ty)
		}
		require.Equal(t, w, orderKey(ty, body), ty.String())
	}
	require.Equal(t, "agent/u", orderKey(event.CallAgentError, []byte(`{"agentUUID":"u","agentID":"1"}`)))
	require.Empty(t, orderKey(event.CDRParty, []byte(`{"callID":"c"}`)))
}

func TestCounts(t *testing.T) {
	sv := start(t, Config{})
	url := sv.url + "/?status=503&first=2"
	for i, want := range []int{503, 503, 200, 200} {
		require.Equal(t, want, ringing(1, 1, "a").send(t, url), "try %d", i+1)
	}
	require.Equal(t, 503, ringing(1, 2, "a").send(t, url), "another id starts anew")
	late := ringing(1, 3, "a")
	late.header = map[string]string{"X-Hookline-Late": "true", "X-Hookline-Replay": "true"}
	late.send(t, sv.url)
	odd := ringing(1, 4, "a")
	odd.body = "[]"
	odd.send(t, sv.url)
	odd.header = map[string]string{"X-Hookline-Sequence": "first"}
	odd.send(t, sv.url)

	resp, err := http.Get(sv.url + "/_stats")
	require.NoError(t, err)
	defer resp.Body.Close()
	var st Stats
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&st))
	require.Equal(t, Stats{
		Received: 8, Distinct: 4, Taken: 3, Retries: 2, Duplicates: 2, Late: 1, Replayed: 1, Odd: 2,
		Bytes: st.Bytes, OpenRequests: st.OpenRequests,
	}, st)
	require.Positive(t, st.Bytes)
}

func TestAnswers(t *testing.T) {
	sv := start(t, Config{Behaviour: Behaviour{}})
	for uri, want := range map[string]struct {
		status int
		header map[string]string
		size   int
	}{
		"/":                                    {status: 200},
		"/cb?token=x":                          {status: 200},
		"/?status=204":                         {status: 204},
		"/?status=410":                         {status: 410},
		"/status=503/first=99":                 {status: 503},
		"/?status=429&retry-after=7":           {status: 429, header: map[string]string{"Retry-After": "7"}},
		"/?retry-after=soon":                   {status: 429, header: map[string]string{"Retry-After": "soon"}},
		"/?redirect=http%3A%2F%2F127.0.0.1%2F": {status: 302, header: map[string]string{"Location": "http://127.0.0.1/"}},
		"/?redirect=/x&status=307":             {status: 307, header: map[string]string{"Location": "/x"}},
		"/?huge=3MB":                           {status: 200, size: 3_000_000},
		"/?two-parts=1":                        {status: 200, size: len(ok)},
		"/?two-parts=1&status=503":             {status: 503, size: len(`{"code":503,"msg":"as requested"}`)},
		"/two-parts=true":                      {status: 200, size: len(ok)},
		"/?two-parts=sometimes":                {status: 400},
		"/?status=banana":                      {status: 400},
		"/?status=99":                          {status: 400},
		"/?huge=-1":                            {status: 400},
		"/?rate=2":                             {status: 400},
		"/?rate=NaN":                           {status: 400},
		"/?a=%zz":                              {status: 400},
	} {
		resp, err := client.Do(ringing(1, 1, "a").request(t, sv.url+uri))
		require.NoError(t, err, uri)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err, uri)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want.status, resp.StatusCode, uri)
		for k, v := range want.header {
			require.Equal(t, v, resp.Header.Get(k), uri)
		}
		if want.size > 0 {
			require.Len(t, body, want.size, uri)
		}
	}
	require.Equal(t, http.StatusRequestEntityTooLarge,
		push{id: "big", body: strings.Repeat("x", MaxBody+1)}.send(t, sv.url))
	resp, err := http.Get(sv.url)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

func TestRetryAfterDate(t *testing.T) {
	now := time.Date(2026, 11, 20, 5, 0, 0, 0, time.UTC)
	require.Equal(t, "Fri, 20 Nov 2026 05:00:07 GMT", retryAfter("date+7", now))
	require.Equal(t, "7", retryAfter("7", now))
}

func TestReset(t *testing.T) {
	sv := start(t, Config{Behaviour: Behaviour{Reset: true}})
	_, err := client.Do(ringing(1, 1, "a").request(t, sv.url)) // there is no answer
	require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF), "%v", err)
	require.Zero(t, sv.last(t).Status)
	require.Zero(t, sv.Stats().Taken)
}

// Who hangs or drips does so until the sender gives up, and no longer than the sink lives.
func TestHangAndDrip(t *testing.T) {
	for _, query := range []string{"/?hang=1", "/?slow-body=1", "/?delay=1h"} {
		sv := start(t, Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		resp, err := client.Do(ringing(1, 1, "a").request(t, sv.url+query).WithContext(ctx))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, resp.Body.Close())
		}
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, query)
		require.Eventually(t, func() bool { return sv.Stats().OpenRequests == 0 }, time.Minute, time.Millisecond, query)
		require.Zero(t, sv.last(t).Status, query)

		ended := make(chan struct{})
		go func() {
			defer close(ended)
			resp, err := client.Do(ringing(1, 2, "a").request(t, sv.url+query))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}()
		require.Eventually(t, func() bool { return sv.Stats().OpenRequests == 1 }, time.Minute, time.Millisecond, query)
		sv.Close()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Fatal(query, "still open after Close")
		}
	}
}

func TestDelay(t *testing.T) {
	sv := start(t, Config{Behaviour: Behaviour{Delay: 30 * time.Millisecond}})
	began := time.Now()
	require.Equal(t, 200, ringing(1, 1, "a").send(t, sv.url))
	require.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)
}

// A random share is the same share in every run.
func TestRate(t *testing.T) {
	pick := func(seed uint64) (picked []int) {
		b := Behaviour{Status: 503, Rate: 0.3, Seed: seed}
		for i := range 10_000 {
			if b.applies(&Push{ID: id(1, i+1), Try: 1}) {
				picked = append(picked, i)
			}
		}
		return picked
	}
	require.Equal(t, pick(1), pick(1))
	require.NotEqual(t, pick(1), pick(2))
	require.InDelta(t, 3000, len(pick(7)), 200)
}

func TestMemoryForgetsTheOldest(t *testing.T) {
	m := newMemory[int](3)
	for i := range 5 {
		*m.at(uint64(i)) = i + 1
	}
	require.Len(t, m.index, 3)
	require.Len(t, m.slots, 3)
	require.Equal(t, 5, *m.at(4))
	require.Equal(t, 3, *m.at(2))
	require.Zero(t, *m.at(0), "forgotten")
	require.Zero(t, *m.at(2), "the next oldest went for it")
}

func TestRecorder(t *testing.T) {
	var buf lockedBuffer
	rec := NewRecorder(&buf)
	at := time.Unix(1763600000, 5)
	rec.Write(&Push{
		ID: "dlv_1", Type: "call.ringing", Seq: 7, Attempt: 2, OrderKey: "call/\"ü\"", Late: true, At: at, Status: 503,
	})
	require.Eventually(t, func() bool { return strings.HasSuffix(buf.String(), "\n") }, time.Minute, time.Millisecond,
		"flushed by itself")
	require.JSONEq(t,
		`{"id":"dlv_1","type":"call.ringing","seq":7,"attempt":2,"orderKey":"call/\"ü\"","late":true,"replay":false,"duplicate":false,"inversion":false,"atNs":1763600000000000005,"status":503}`,
		buf.String())
	require.NoError(t, rec.Flush())

	broken := NewRecorder(brokenWriter{})
	broken.Write(&Push{})
	require.ErrorIs(t, broken.Flush(), io.ErrClosedPipe)
}

func TestPrinter(t *testing.T) {
	p := &Push{
		At: time.Date(2026, 11, 20, 5, 0, 0, 0,
			time.UTC), ID: "dlv_1", Type: "call.ringing", Seq: 7, Attempt: 1, Verdict: Bad, Error: "not signed", Late: true,
		Inversion: true, After: 9, OrderKey: "call/c", Status: 200, Body: []byte("{\"a\":\"\\u001b \x1b[2J" +
			strings.Repeat("é", 60) + "\"}"),
	}
	var out bytes.Buffer
	(&Printer{Out: &out}).Print(p)
	require.Equal(t, "05:00:00.000 call.ringing     seq=7     try=1 dlv_1 sign=BAD late -> 200 (not signed) {\"a\":\"\\u001b  [2J"+strings.Repeat("é", 31)+"…\n"+
		"!!! INVERSION call/c: sequence 7 came after 9 (call.ringing dlv_1)\n", out.String())

	out.Reset()
	p.Body = []byte(`{"a": 1.50}`)
	(&Printer{Out: &out, JSON: true}).Print(p)
	var got map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Equal(t, true, got["inversion"])
	require.Contains(t, out.String(), `"body":{"a":1.50}`)

	out.Reset()
	(&Printer{Out: &out, Body: true}).Print(p)
	require.Contains(t, out.String(), "\n{\n    \"a\": 1.50\n  }\n")
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Whatever arrives, the sink answers and its counts add up.
func FuzzPush(f *testing.F) {
	f.Add("/?status=503&first=2", "call.ringing", "5", `{"callID":"c"}`)
	f.Add("/status=200;x/huge=1KB", "", "-1", `{"messageID":"MainCDRInfo","callID":1}`)
	f.Add("/?rate=0.5&seed=1&retry-after=date+7", "x", "", "\xff")
	f.Fuzz(func(t *testing.T, uri, typ, seq, body string) {
		r, err := http.NewRequest(http.MethodPost, "http://sink"+uri, strings.NewReader(body))
		if err != nil {
			return
		}
		if b, err := (Behaviour{}).With(r.URL); err == nil && b.Huge > 1e6 {
			return
		}
		r.RequestURI = uri
		r.Header.Set("X-Hookline-Event", typ)
		r.Header.Set("X-Hookline-Sequence", seq)
		s, err := New(Config{AppKeys: []string{appKey}, OnPush: (&Printer{Out: io.Discard}).Print})
		require.NoError(t, err)
		s.Close() // nothing waits
		func() {
			defer func() {
				if v := recover(); v != nil {
					require.Equal(t, http.ErrAbortHandler, v)
				}
			}()
			s.ServeHTTP(httptest.NewRecorder(), r)
		}()
		st := s.Stats()
		require.Zero(t, st.OpenRequests)
		require.LessOrEqual(t, st.Received, int64(1))
		require.Equal(t, st.Received, st.BadSignatures, "nothing of this is signed")
	})
}

func BenchmarkHandler(b *testing.B) {
	for name, cfg := range map[string]Config{"off": {}, "verify": {CompanyID: company, AppKeys: []string{appKey}}} {
		b.Run(name, func(b *testing.B) {
			s, err := New(cfg)
			require.NoError(b, err)
			body := fmt.Sprintf(`{"messageID":"EventRinging","companyId":"acme","callID":"c1","attachedData":%q}`,
				strings.Repeat("x", 900))
			r := push{id: id(1, 1), typ: "call.ringing", seq: 1, body: body}.request(b, "http://sink/")
			h := http.Header{}
			for k, v := range r.Header { // as a server reads them
				h[http.CanonicalHeaderKey(k)] = v
			}
			r.Header, r.RequestURI = h, "/"
			w := discard{http.Header{}}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r.Body = io.NopCloser(strings.NewReader(body))
				s.ServeHTTP(w, r)
			}
		})
	}
}

// Over the loopback with 64 connections: what a load run sees.
func BenchmarkServer(b *testing.B) {
	s, err := New(Config{})
	require.NoError(b, err)
	ts := httptest.NewServer(s)
	defer ts.Close()
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	body := fmt.Sprintf(`{"messageID":"EventRinging","companyId":"acme","callID":"c1","attachedData":%q}`,
		strings.Repeat("x", 900))
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequest(http.MethodPost, ts.URL, strings.NewReader(body))
			r.Header.Set("X-Hookline-Event", "call.ringing")
			resp, err := c.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header           { return d.h }
func (discard) Write(p []byte) (int, error)     { return len(p), nil }
func (discard) WriteHeader(int)                 {}
func (discard) SetReadDeadline(time.Time) error { return nil }
