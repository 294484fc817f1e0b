package feed

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func readAll(t testing.TB, in string) ([]Item, error) {
	t.Helper()
	r := NewReader(iotest.OneByteReader(strings.NewReader(in)))
	var items []Item
	for {
		it, err := r.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return items, nil
		}
		if err != nil {
			return items, err
		}
		items = append(items, it)
	}
}

func TestReader(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", MaxItem) + `"}`
	for name, tc := range map[string]struct {
		in    string
		want  []string // "line:JSON", "line!fault"
		fault string
	}{
		"empty": {in: ""},
		"blank": {in: " \n\r\n"},
		"lines": {
			in: "{\"a\":1}\n\n  {\"a\":2}  \r\n{\"a\":3}", want: []string{`1:{"a":1}`, `3:{"a":2}`, `4:{"a":3}`},
		},
		"blank lines first": {in: "\n\n{}\n", want: []string{"3:{}"}},
		"byte order mark":   {in: "\xef\xbb\xbf{}\n", want: []string{"1:{}"}},
		"a broken line":     {in: "{}\nnonsense\n{}", want: []string{"1:{}", "2:nonsense", "3:{}"}},
		"a long line":       {in: "{}\n" + long + "\n{}", want: []string{"1:{}", "2!" + tooLong, "3:{}"}},
		"a long last line":  {in: "{}\n" + long, want: []string{"1:{}", "2!" + tooLong}},
		"array": {
			in: "[ {\"a\": [1, \"],{\\\"\"]},\n {\"b\" :2}\n,3]\n", want: []string{`1:{"a":[1,"],{\""]}`, `2:{"b":2}`, `3:3`},
		},
		"empty array":  {in: " [ ] "},
		"numbers kept": {in: `[{"a": 1.50e+01}]`, want: []string{`1:{"a":1.50e+01}`}},
		"broken element": {
			in: "[{},\n{\"a\" 1},{}]", want: []string{"1:{}", "2!not JSON: invalid character '1' after object key", "2:{}"},
		},
		"long element":       {in: "[" + long + ",{}]", want: []string{"1!" + tooLong, "1:{}"}},
		"array without end":  {in: "[{},\n{}", want: []string{"1:{}"}, fault: "line 2: the array has no end"},
		"text without end":   {in: "[{},\"", want: []string{"1:{}"}, fault: "the array has no end"},
		"more after the end": {in: "[{}]\n{}", want: []string{"1:{}"}, fault: `line 2: '{' after the end of the array`},
	} {
		t.Run(name, func(t *testing.T) {
			items, err := readAll(t, tc.in)
			var got []string
			for _, it := range items {
				if it.Fault != "" {
					got = append(got, fmt.Sprintf("%d!%s", it.Line, it.Fault))
				} else {
					got = append(got, fmt.Sprintf("%d:%s", it.Line, it.JSON))
				}
			}
			require.Equal(t, tc.want, got)
			if tc.fault == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.fault)
			}
		})
	}
	_, err := NewReader(iotest.ErrReader(io.ErrClosedPipe)).Next()
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

func TestIdentify(t *testing.T) {
	identify := func(line int, s string) string {
		it := Item{Line: line, JSON: []byte(s)}
		Identify(&it)
		return string(it.JSON)
	}
	got := identify(1, `{ "type":"call.ringing","data":{}}`)
	require.Regexp(t, `^\{"id":"file-[0-9a-f]{32}","type":"call.ringing","data":\{\}\}$`, got)
	require.Equal(t, got, identify(1, `{ "type":"call.ringing","data":{}}`), "the same file, the same id")
	require.NotEqual(t, got, identify(2, `{ "type":"call.ringing","data":{}}`), "told twice on purpose")
	for _, s := range []string{
		`{"id":"x","type":"t"}`, `{"messageID":"EventRinging","callID":"c"}`, `[{"type":"t"}]`, `{"type":`, `7`, `{}`,
		`{"id":null,"type":"t"}`,
	} {
		require.Equal(t, s, identify(1, s))
	}
}

// hub is the ingest API as the contract says, keeping ids, and misbehaving by its script.
type hub struct {
	t       testing.TB
	mu      sync.Mutex
	ids     map[string]string
	taken   []string
	open    map[string]int // requests in flight by key
	sizes   []int
	zipped  bool
	trouble func(n int) int // 0: none; else a status to answer with; -1: cut the connection, events taken
	n       int
}

func start(t testing.TB, trouble func(int) int) (*hub, *Feed) {
	h := &hub{t: t, ids: map[string]string{}, open: map[string]int{}, trouble: trouble}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return h, &Feed{URL: s.URL + "/", Key: "hk_acme_secret"}
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/events" || r.Header.Get("Authorization") != "Bearer hk_acme_secret" {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"title":"Unauthorized","status":401,"detail":"no such key"}`)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, "gzip", http.StatusBadRequest)
			return
		}
		body = z
		h.zipped = true
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, "read", http.StatusBadRequest)
		return
	}
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")

	h.mu.Lock()
	keys := map[string]bool{}
	for _, l := range lines {
		var e struct{ Key string }
		_ = json.Unmarshal([]byte(l), &e)
		if e.Key != "" && !keys[e.Key] {
			keys[e.Key] = true
			if h.open[e.Key]++; h.open[e.Key] > 1 {
				h.t.Errorf("two requests with %s at a time", e.Key)
			}
		}
	}
	n := h.n
	h.n++
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for k := range keys {
			h.open[k]--
		}
	}()
	status := 0
	if h.trouble != nil {
		status = h.trouble(n)
	}
	if status > 0 {
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(status)
		return
	}

	h.mu.Lock()
	type result struct {
		ID     string `json:"id,omitempty"`
		Status string `json:"status"`
		Error  any    `json:"error,omitempty"`
	}
	var out []result
	h.sizes = append(h.sizes, len(lines))
	for _, l := range lines {
		var e struct{ ID, Type string }
		if err := json.Unmarshal([]byte(l), &e); err != nil || e.Type == "bad" {
			out = append(out,
				result{e.ID, "rejected", map[string]string{"code": "unknown_type", "message": "no such type", "field": "/type"}})
			continue
		}
		if _, known := h.ids[e.ID]; known {
			out = append(out, result{e.ID, "duplicate", nil})
			continue
		}
		h.ids[e.ID] = l
		h.taken = append(h.taken, l)
		out = append(out, result{e.ID, "accepted", nil})
	}
	h.mu.Unlock()
	if status == -1 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{"results": out})
}

func list(lines ...string) func(context.Context) (Item, error) {
	i := 0
	return func(context.Context) (Item, error) {
		if i == len(lines) {
			return Item{}, io.EOF
		}
		i++
		return Item{Line: i, JSON: []byte(lines[i-1])}, nil
	}
}

func TestAllIsSentOnce(t *testing.T) {
	for name, trouble := range map[string]func(int) int{
		"calm":           nil,
		"full at times":  func(n int) int { return []int{0, 503, 0, 0, 500}[n%5] },
		"answers lost":   func(n int) int { return []int{-1, 0, 0}[n%3] },
		"both at random": func(n int) int { return []int{0, 0, 0, 503, -1}[rand.IntN(5)] },
	} {
		for _, senders := range []int{1, 4} {
			t.Run(fmt.Sprint(name, senders), func(t *testing.T) {
				h, f := start(t, trouble)
				f.Senders, f.Batch, f.Gzip = senders, 10, senders == 1
				const events, keys = 300, 17
				i := 0
				totals, err := f.Run(t.Context(), func(context.Context) (Item, error) {
					if i == events {
						return Item{}, io.EOF
					}
					i++
					return Item{
						Key: uint64(i % keys), JSON: fmt.Appendf(nil, `{"id":"e%d","type":"t","key":"k%d","n":%d}`, i, i%keys, i),
					}, nil
				})
				require.NoError(t, err)
				require.Zero(t, totals.Rejected)
				require.EqualValues(t, events, totals.Accepted+totals.Duplicates)
				require.Len(t, h.taken, events)
				require.Equal(t, f.Gzip, h.zipped)
				last := map[string]int{}
				for _, l := range h.taken {
					var e struct {
						Key string
						N   int
					}
					require.NoError(t, json.Unmarshal([]byte(l), &e))
					require.Greater(t, e.N, last[e.Key], "order of %s", e.Key)
					last[e.Key] = e.N
				}
				for _, n := range h.sizes {
					require.LessOrEqual(t, n, 10)
				}
			})
		}
	}
}

func TestRejections(t *testing.T) {
	_, f := start(t, nil)
	var told []string
	f.Rejected = func(it Item, why string) { told = append(told, fmt.Sprintf("%d: %s", it.Line, why)) }
	sent := 0
	f.Done = func(items, _ int) { sent += items }
	next := list(`{"id":"1","type":"t"}`, `{"id":"2","type":"bad"}`, `{"id":"1","type":"t"}`, `nonsense`)
	faulty := false
	totals, err := f.Run(t.Context(), func(ctx context.Context) (Item, error) {
		if !faulty {
			faulty = true
			return Item{Line: 9, Fault: "too long"}, nil
		}
		return next(ctx)
	})
	require.NoError(t, err)
	require.Equal(t, Totals{Accepted: 1, Duplicates: 1, Rejected: 3, Requests: totals.Requests}, totals)
	require.Equal(t,
		[]string{"9: too long", "2: unknown_type: no such type (/type)", "4: unknown_type: no such type (/type)"}, told)
	require.Equal(t, 4, sent)
}

// One item for which the hub refuses the whole request does not take the others with it.
func TestPoisonIsFoundByHalves(t *testing.T) {
	var h *hub
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if strings.Contains(string(raw), "poison") {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_, _ = io.WriteString(w, `{"title":"Request Entity Too Large","detail":"too much"}`)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(raw)))
		h.ServeHTTP(w, r)
	}))
	defer s.Close()
	h = &hub{t: t, ids: map[string]string{}, open: map[string]int{}}
	f := Feed{URL: s.URL, Key: "hk_acme_secret"}
	var told []string
	f.Rejected = func(it Item, why string) { told = append(told, fmt.Sprintf("%d: %s", it.Line, why)) }
	totals, err := f.Run(t.Context(), list(`{"id":"1"}`, `{"id":"2"}`, `{"id":"poison"}`, `{"id":"4"}`, `{"id":"5"}`))
	require.NoError(t, err)
	require.EqualValues(t, 4, totals.Accepted)
	require.Equal(t, []string{"3: 413 too much"}, told)
}

func TestErrors(t *testing.T) {
	_, f := start(t, nil)
	f.Key = "wrong"
	_, err := f.Run(t.Context(), list(`{}`))
	require.ErrorContains(t, err, "401 no such key")

	_, f = start(t, nil)
	_, err = f.Run(t.Context(), func(context.Context) (Item, error) { return Item{}, io.ErrUnexpectedEOF })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	_, f = start(t, func(int) int { return http.StatusServiceUnavailable })
	f.GiveUp = time.Nanosecond
	_, err = f.Run(t.Context(), list(`{}`))
	require.ErrorContains(t, err, "gave up")

	for _, u := range []string{"", "127.0.0.1:8080", "ftp://x", "http://"} {
		_, err = (&Feed{URL: u}).Run(t.Context(), list())
		require.ErrorContains(t, err, "url", u)
	}
}

// A failed sender ends a source that waits for its next event.
func TestFailureEndsTheSource(t *testing.T) {
	_, f := start(t, nil)
	f.Key = "wrong"
	first := true
	_, err := f.Run(t.Context(), func(ctx context.Context) (Item, error) {
		if first {
			first = false
			return Item{JSON: []byte("{}")}, nil
		}
		<-ctx.Done()
		return Item{}, ctx.Err()
	})
	require.ErrorContains(t, err, "401")
}

// Ctrl-C: what was handed over is still sent.
func TestCancelDrains(t *testing.T) {
	h, f := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	totals, err := f.Run(ctx, func(ctx context.Context) (Item, error) {
		if n == 50 {
			cancel()
			<-ctx.Done()
			return Item{}, ctx.Err()
		}
		n++
		return Item{JSON: fmt.Appendf(nil, `{"id":"%d"}`, n)}, nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.EqualValues(t, 50, totals.Accepted)
	require.Len(t, h.taken, 50)
}

// A hub that is away does not hold up a stop for longer than the grace.
func TestCancelWhileTheHubIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f := Feed{URL: "http://hub", Client: &http.Client{Transport: away{}}, GiveUp: time.Hour}
		began := time.Now()
		totals, err := f.Run(ctx, func(ctx context.Context) (Item, error) {
			return Item{JSON: []byte("{}")}, nil
		})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, time.Minute+grace, time.Since(began))
		require.Positive(t, totals.Retries)
	})
}

type away struct{}

func (away) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func TestWait(t *testing.T) {
	for try := range 100 {
		w := wait(try, 0)
		require.GreaterOrEqual(t, w, 10*time.Millisecond)
		require.LessOrEqual(t, w, 5*time.Second)
	}
	require.Equal(t, 7*time.Second, wait(0, 7*time.Second))
	require.Equal(t, time.Minute, wait(0, time.Hour))
}

func FuzzReader(f *testing.F) {
	f.Add("{\"id\":\"1\",\"type\":\"t\"}\n{}\n")
	f.Add("[{\"type\":\"t\"}, {\"a\":\"]\\\"\"}]")
	f.Add("[1,,2]")
	f.Add("\xef\xbb\xbf[")
	f.Fuzz(func(t *testing.T, in string) {
		items, err := readAll(t, in)
		var whole []json.RawMessage
		if valid := json.Unmarshal([]byte(strings.TrimPrefix(in, "\xef\xbb\xbf")), &whole) == nil; valid && whole != nil {
			require.NoError(t, err, "a good array")
			require.Len(t, items, len(whole))
		}
		line := 0
		for i, it := range items {
			require.GreaterOrEqual(t, it.Line, line)
			line = it.Line
			require.True(t, it.Fault != "" || len(it.JSON) > 0)
			require.NotContains(t, string(it.JSON), "\n")
			before := json.Valid(it.JSON)
			Identify(&it)
			require.Equal(t, before, json.Valid(it.JSON))
			if len(whole) > 0 && it.Fault == "" && !strings.HasPrefix(string(it.JSON), `{"id":"file-`) {
				require.JSONEq(t, string(whole[i]), string(it.JSON))
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	line := `{"id":"e","type":"call.ringing","data":{"callID":"` + strings.Repeat("x", 900) + "\"}}\n"
	for name, in := range map[string]string{
		"ndjson": strings.Repeat(line, 1000), "array": "[" + strings.Repeat(line+",", 999) + line + "]",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				r := NewReader(strings.NewReader(in))
				for {
					if _, err := r.Next(); err != nil {
						break
					}
				}
			}
		})
	}
}
