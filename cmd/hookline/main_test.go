package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/cmd/hookline/sink"
	"github.com/hookline/hookline/signing"
)

// buffer can be read while a command writes to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// do runs a command line.
func do(t testing.TB, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err buffer
	code = run(t.Context(), args, streams{strings.NewReader(stdin), &out, &err})
	return code, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"sink", "--help"}, {"simulate", "--help"}, {"send", "--help"}, {"tenant", "create", "--help"}, {"key", "create", "--help"}, {"subscription", "update", "--help"}} {
		code, out, err := do(t, "", args...)
		require.Zero(t, code, "%v: %s", args, err)
		require.Contains(t, out, "Usage: hookline", "%v", args)
	}
	for _, args := range [][]string{{}, {"nonsense"}, {"sink", "--nonsense"}, {"sink", "--json", "--quiet"}, {"tenant", "create"}, {"key", "create", "acme", "--role", "king"}, {"simulate", "--start", "yesterday"}} {
		code, _, err := do(t, "", args...)
		require.Equal(t, 2, code, "%v", args)
		require.Contains(t, err, "hookline: ", "%v", args)
	}
	for _, args := range [][]string{
		{"sink", "--huge", "lots"},
		{"sink", "--status", "99"},
		{"sink", "--encryption-key", "short"},
		{"sink", "--remember", "0"},
		{"simulate", "--rate=-1"},
		{"simulate", "--batch", "0"},
		{"simulate", "--senders", "0"},
		{"simulate", "--agents=-1"},
		{"send", "--batch", "0", "-"},
		{"send", "no such file"},
		{"tenant", "create", "acme", "--settings", "{"},
		{"subscription", "create", "--file", "no such file"},
		{"subscription", "create", "--retry", "{"},
	} {
		code, _, err := do(t, "", args...)
		require.Equal(t, 1, code, "%v", args)
		require.Contains(t, err, "hookline: ", "%v", args)
	}
}

// api answers from a script and notes what was asked.
func api(t *testing.T, answers ...string) (url string, asked *[]string) {
	asked = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := r.Method + " " + r.URL.RequestURI()
		if v := r.Header.Get("If-Match"); v != "" {
			line += " " + v
		}
		if len(body) > 0 {
			line += " " + string(body)
		}
		if r.Header.Get("Authorization") != "Bearer hk_acme_s" {
			line += " without its key"
		}
		*asked = append(*asked, line)
		status, body2 := 200, answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		_, _ = fmt.Sscanf(body2, "%d", &status)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.TrimPrefix(body2, fmt.Sprint(status)))
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestClientCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"url":"http://old/","maxInFlight":4,"retry":{"live":{"jitter":0.10}}}`), 0o600))
	for name, tc := range map[string]struct {
		args  []string
		stdin string
		asked string
		reply string
		out   string // part of what is printed
	}{
		"tenant create":  {args: []string{"tenant", "create", "acme", "--name", "Acme", "--settings", `{"payloadDays":7}`}, asked: `POST /v1/tenants {"companyId":"acme","name":"Acme","settings":{"payloadDays":7}}`, reply: `201{"companyId":"acme","name":"Acme"}`, out: "companyId  acme\nname       Acme\n"},
		"tenant list":    {args: []string{"tenant", "list"}, asked: `GET /v1/tenants?limit=500`, reply: `{"data":[{"companyId":"acme","name":"A\u001b[2J","timezone":"Asia/Singapore","version":3}]}`, out: "acme       A [2J  Asia/Singapore  3        -          -\n"},
		"tenant get":     {args: []string{"tenant", "get", "a/b"}, asked: `GET /v1/tenants/a%2Fb`, reply: `{"limits":{"keys":100}}`, out: `{"keys":100}`},
		"tenant update":  {args: []string{"tenant", "update", "acme", "--name", "", "--limits", `{"keys":5}`, "--allow-network", "10.0.0.0/8", "--if-version", "3"}, asked: `PATCH /v1/tenants/acme "3" {"allowNetworks":["10.0.0.0/8"],"limits":{"keys":5},"name":""}`, reply: `{}`},
		"key create":     {args: []string{"key", "create", "acme", "--role", "auditor", "--name", "ci", "--pii", "--expires", "2027-01-01T00:00:00Z"}, asked: `POST /v1/tenants/acme/keys {"expiresAt":"2027-01-01T00:00:00Z","name":"ci","pii":true,"role":"auditor"}`, reply: `201{"id":"k1","key":"hk_acme_x","role":"auditor"}`, out: "key   hk_acme_x\n"},
		"key list":       {args: []string{"key", "list", "acme"}, asked: `GET /v1/tenants/acme/keys?limit=500`, reply: `{"data":[]}`, out: "ID  ROLE"},
		"key revoke":     {args: []string{"key", "revoke", "acme", "k1"}, asked: `DELETE /v1/tenants/acme/keys/k1`, reply: `204`, out: "revoked k1\n"},
		"sub create":     {args: []string{"subscription", "create", "http://127.0.0.1:9000/?status=503&first=2", "--events", "call.*,cdr.*", "--header", "X-A=b;c=d", "--header", "X-B=e", "--max-in-flight", "64"}, asked: `POST /v1/subscriptions {"events":["call.*","cdr.*"],"headers":{"X-A":"b;c=d","X-B":"e"},"maxInFlight":64,"url":"http://127.0.0.1:9000/?status=503\u0026first=2"}`, reply: `201{"id":"s1","appKey":"k"}`, out: "appKey  k\n"},
		"sub from file":  {args: []string{"subscription", "create", "http://new/", "--file", file}, asked: `POST /v1/subscriptions {"maxInFlight":4,"retry":{"live":{"jitter":0.10}},"url":"http://new/"}`, reply: `{}`},
		"sub from stdin": {args: []string{"subscription", "create", "--file", "-"}, stdin: `{"url":"http://x/"}`, asked: `POST /v1/subscriptions {"url":"http://x/"}`, reply: `{}`},
		"sub list":       {args: []string{"subscription", "list"}, asked: `GET /v1/subscriptions?limit=500`, reply: `{"data":[{"id":"s1","events":["a","b"],"hold":{"reason":"breaker"},"breaker":{"state":"open"}}]}`, out: "s1  -     -    a,b     -      breaker      open           -\n"},
		"sub get":        {args: []string{"subscription", "get", "s1", "--json"}, asked: `GET /v1/subscriptions/s1`, reply: `{"id": "s1"}`, out: `{"id": "s1"}` + "\n"},
		"sub update":     {args: []string{"subscription", "update", "s1", "--callback", "http://y/", "--give-up-after", `{"live":"2h"}`}, asked: `PATCH /v1/subscriptions/s1 {"giveUpAfter":{"live":"2h"},"url":"http://y/"}`, reply: `{}`},
		"sub delete":     {args: []string{"subscription", "delete", "s1", "--if-version", "7"}, asked: `DELETE /v1/subscriptions/s1 "7"`, reply: `204`, out: "deleted s1\n"},
		"sub pause":      {args: []string{"subscription", "pause", "s1"}, asked: `POST /v1/subscriptions/s1/pause`, reply: `{"state":"paused"}`, out: "paused s1\n"},
		"sub preview":    {args: []string{"subscription", "preview", "s1", "--event", "e1"}, asked: `POST /v1/previews {"event":"e1","subscription":"s1"}`, reply: `{"type":"cdr.call"}`, out: "type  cdr.call\n"},
		"delivery again": {args: []string{"subscription", "preview", "--delivery", "d1", "--json"}, asked: `POST /v1/previews {"delivery":"d1"}`, reply: `{"type":"cdr.call"}`, out: `{"type":"cdr.call"}`},
		"sub probe":      {args: []string{"subscription", "probe", "http://new/", "--file", file, "--type", "cdr.call"}, asked: `POST /v1/probes {"subscription":{"maxInFlight":4,"retry":{"live":{"jitter":0.10}},"url":"http://new/"},"type":"cdr.call"}`, reply: `{"status":200}`, out: "status  200\n"},
		"probe of file":  {args: []string{"subscription", "probe", "--file", file}, asked: `POST /v1/probes {"subscription":{"maxInFlight":4,"retry":{"live":{"jitter":0.10}},"url":"http://old/"}}`, reply: `{}`},
		"sub resume":     {args: []string{"subscription", "resume", "s1", "--json"}, asked: `POST /v1/subscriptions/s1/resume`, reply: `{"state":"active"}`, out: `{"state":"active"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			url, asked := api(t, tc.reply)
			code, out, err := do(t, tc.stdin, append(tc.args, "--url", url+"/", "--key", "hk_acme_s")...)
			require.Zero(t, code, err)
			require.Equal(t, []string{tc.asked}, *asked)
			require.Contains(t, out, tc.out)
		})
	}
}

func TestPages(t *testing.T) {
	url, asked := api(t, `{"data":[{"id":"k3"},{"id":"k2"}],"nextCursor":"a b"}`, `{"data":[{"id":"k1"}]}`)
	code, out, err := do(t, "", "key", "list", "acme", "--url", url, "--key", "hk_acme_s", "--json")
	require.Zero(t, code, err)
	require.JSONEq(t, `{"data":[{"id":"k3"},{"id":"k2"},{"id":"k1"}]}`, out)
	require.Equal(t, []string{"GET /v1/tenants/acme/keys?limit=500", "GET /v1/tenants/acme/keys?cursor=a+b&limit=500"}, *asked)

	url, _ = api(t, `{"data":[],"nextCursor":"x"}`)
	code, _, err = do(t, "", "key", "list", "acme", "--url", url, "--key", "hk_acme_s")
	require.Equal(t, 1, code)
	require.Contains(t, err, "same page again")
}

func TestClientErrors(t *testing.T) {
	url, _ := api(t, `422{"title":"Unprocessable Entity","detail":"the subscription is not valid","errors":[{"field":"/url","message":"port 22 is not allowed"},{"field":"/events/0","message":"no such type"}]}`)
	code, out, err := do(t, "", "subscription", "create", "http://x:22/", "--url", url, "--key", "hk_acme_s")
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Equal(t, "hookline: 422 Unprocessable Entity: the subscription is not valid\n  /url: port 22 is not allowed\n  /events/0: no such type\n", err)

	for reply, want := range map[string]string{"502<html>": "502 Bad Gateway", `302`: "302 Found", "200nonsense": "answer of"} {
		url, _ = api(t, reply)
		code, _, err = do(t, "", "tenant", "list", "--url", url, "--key", "hk_acme_s")
		require.Equal(t, 1, code)
		require.Contains(t, err, want)
	}

	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hangs.Close()
	code, _, err = do(t, "", "tenant", "list", "--url", hangs.URL, "--timeout", "20ms")
	require.Equal(t, 1, code)
	require.Contains(t, err, "deadline exceeded")
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

func TestSinkCommand(t *testing.T) {
	const appKey = "0123456789abcdef0123456789abcdef"
	record := filepath.Join(t.TempDir(), "pushes.ndjson")
	ctx, stop := context.WithCancel(t.Context())
	var out, errs buffer
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"sink", "--addr", "127.0.0.1:0", "--company", "acme", "--app-key", appKey, "--record", record}, streams{nil, &out, &errs})
	}()
	require.Eventually(t, func() bool { return listening.MatchString(errs.String()) }, patience, time.Millisecond)
	url := listening.FindStringSubmatch(errs.String())[1]

	post := func(seq int, uri string) (int, error) {
		m := signing.Message{ID: fmt.Sprint("d", seq), CompanyID: "acme", At: time.Now().UnixMilli(), RandomCode: "0123456789abcdef", Body: []byte(`{"callID":"c1"}`)}
		sealed, err := signing.Seal(signing.GCM, signing.DeriveKey(signing.GCM, appKey), &m, make([]byte, 12))
		require.NoError(t, err)
		m.Body = sealed
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+uri, bytes.NewReader(sealed))
		require.NoError(t, err)
		signing.Sign(r.Header, &m, appKey)
		r.Header.Set("X-Hookline-Encryption", signing.GCM)
		r.Header.Set("X-Hookline-Event", "call.ringing")
		r.Header.Set("X-Hookline-Sequence", fmt.Sprint(seq))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	for _, seq := range []int{2, 1} {
		status, err := post(seq, "/")
		require.NoError(t, err)
		require.Equal(t, 200, status)
	}
	require.Regexp(t, `(?m)^\S+ call.ringing     seq=2     try=1 d2 sign=ok aes-256-gcm -> 200 \{"callID":"c1"\}$`, out.String())
	require.Contains(t, out.String(), "!!! INVERSION call/c1: sequence 1 came after 2")
	require.Contains(t, errs.String(), "!!! INVERSION", "also where --quiet shows it")

	hung := make(chan error)
	go func() {
		_, err := post(3, "/?hang=1")
		hung <- err
	}()
	resp, err := http.Get(url + "/_stats")
	require.NoError(t, err)
	var st sink.Stats
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&st))
	require.NoError(t, resp.Body.Close())
	require.EqualValues(t, 1, st.Inversions)

	require.Eventually(t, func() bool {
		resp, err := http.Get(url + "/_stats")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&st))
		return st.OpenRequests == 1
	}, patience, time.Millisecond)
	stop()
	require.Zero(t, <-ended, errs.String())
	require.Error(t, <-hung, "who hung is let go")
	require.Contains(t, errs.String(), `"received":3`)
	lines, err := os.ReadFile(record)
	require.NoError(t, err)
	require.Equal(t, 3, bytes.Count(lines, []byte("\n")))
	require.Contains(t, string(lines), `"orderKey":"call/c1"`)
}

func TestSinkAddressTaken(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	code, _, err := do(t, "", "sink", "--addr", strings.TrimPrefix(s.URL, "http://"))
	require.Equal(t, 1, code)
	require.Contains(t, err, "in use")
}

// fakeHub takes events by id, as the contract says, and is away at times.
type fakeHub struct {
	mu   sync.Mutex
	ids  map[string]string
	n    int
	away func(n int) bool
}

func newHub(t *testing.T) (*fakeHub, string) {
	h := &fakeHub{ids: map[string]string{}}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return h, s.URL
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	if h.away != nil && h.away(h.n) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	in := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		in = z
	}
	raw, _ := io.ReadAll(in)
	var out []map[string]any
	for line := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\n"), "\n") {
		var e struct{ ID, Type string }
		err := json.Unmarshal([]byte(line), &e)
		_, known := h.ids[e.ID]
		switch {
		case err != nil:
			out = append(out, map[string]any{"status": "rejected", "error": map[string]string{"code": "malformed", "message": "not JSON"}})
		case known:
			out = append(out, map[string]any{"id": e.ID, "status": "duplicate"})
		default:
			h.ids[e.ID] = line
			out = append(out, map[string]any{"id": e.ID, "status": "accepted"})
		}
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{"results": out})
}

func TestSimulateCommand(t *testing.T) {
	args := []string{"simulate", "--seed", "5", "--start", "2026-11-20T08:00:00Z", "--speed", "0", "--duration", "30m"}
	code, out, err := do(t, "", args...)
	require.Zero(t, code, err)
	_, again, _ := do(t, "", args...)
	require.Equal(t, out, again)
	events := strings.Count(out, "\n")
	require.Greater(t, events, 300)

	code, some, err := do(t, "", append(args, "--events", "17")...)
	require.Zero(t, code, err)
	require.Equal(t, 17, strings.Count(some, "\n"))
	require.True(t, strings.HasPrefix(out, some))

	// The same story to a hub that is away now and then: each event once.
	h, url := newHub(t)
	h.away = func(n int) bool { return n%3 == 0 }
	code, _, err = do(t, "", append(args, "--url", url, "--key", "hk_acme_s", "--batch", "20")...)
	require.Zero(t, code, err)
	require.Contains(t, err, fmt.Sprintf("accepted %d, duplicates 0, rejected 0", events))
	require.Len(t, h.ids, events)
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		var e struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		require.Equal(t, line, h.ids[e.ID])
	}
	code, _, err = do(t, "", append(args, "--url", url)...)
	require.Zero(t, code)
	require.Contains(t, err, fmt.Sprintf("accepted 0, duplicates %d, rejected 0", events))
}

// Ctrl-C ends an endless story, printed or posted, without an error.
func TestSimulateStops(t *testing.T) {
	_, url := newHub(t)
	for _, extra := range [][]string{{}, {"--url", url}} {
		ctx, stop := context.WithCancel(t.Context())
		var out, errs buffer
		ended := make(chan int)
		go func() {
			ended <- run(ctx, append([]string{"simulate", "--duration", "0", "--rate", "1000"}, extra...), streams{nil, &out, &errs})
		}()
		if len(extra) == 0 {
			require.Eventually(t, func() bool { return strings.Contains(out.String(), "\n") }, patience, time.Millisecond, "what is due is printed at once")
		}
		stop()
		require.Zero(t, <-ended, errs.String())
	}
}

func TestPace(t *testing.T) {
	began := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	from := began.Add(time.Hour)
	require.Equal(t, began.Add(time.Second), (&pace{began: began, from: from, speed: 60}).due(9, from.Add(time.Minute)))
	require.Equal(t, began.Add(90*time.Millisecond), (&pace{began: began, from: from, speed: 60, rate: 100}).due(9, from.Add(time.Minute)))
	require.Equal(t, began, (&pace{began: began, from: from}).due(9, from.Add(time.Minute)))
}

func TestSendCommand(t *testing.T) {
	h, url := newHub(t)
	file := filepath.Join(t.TempDir(), "events.ndjson")
	require.NoError(t, os.WriteFile(file, []byte("{\"id\":\"a\",\"type\":\"cdr.call\"}\n\n{\"type\":\"cdr.call\"}\nnonsense\u001b\n{\"id\":\"b\",\"type\":\"cdr.call\"}\n"), 0o600))
	code, out, err := do(t, "", "send", file, "--url", url, "--batch", "2")
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, err, "line 4: malformed: not JSON\n")
	require.Contains(t, err, "accepted 3, duplicates 0, rejected 1")
	require.Len(t, h.ids, 3)

	_, _, err = do(t, "", "send", file, "--url", url)
	require.Contains(t, err, "accepted 0, duplicates 3, rejected 1", "resumed by ids, also where the file has none")

	code, _, err = do(t, `[{"id":"x","type":"cdr.call"}, {"id":"y","type":"cdr.call"}]`, "send", "-", "--url", url)
	require.Zero(t, code, err)
	require.Contains(t, err, "accepted 2, duplicates 0, rejected 0")

	code, _, err = do(t, `[{"id":"z","type":"cdr.call"}`, "send", "-", "--url", url)
	require.Equal(t, 1, code)
	require.Contains(t, err, "the array has no end")

	code, _, err = do(t, `{"id":"v","type":"cdr.call"}`, "send", "-", "--url", "http://127.0.0.1:1", "--give-up", "1ns")
	require.Equal(t, 1, code)
	require.Contains(t, err, "gave up")
}

// A standard input that says nothing does not hold up a stop.
func TestSendStops(t *testing.T) {
	_, url := newHub(t)
	silent, in := io.Pipe()
	defer in.Close()
	ctx, stop := context.WithCancel(t.Context())
	var out, errs buffer
	ended := make(chan int)
	go func() { ended <- run(ctx, []string{"send", "-", "--url", url}, streams{silent, &out, &errs}) }()
	_, err := io.WriteString(in, "{\"id\":\"a\",\"type\":\"cdr.call\"}\n{") // taken: it reads
	require.NoError(t, err)
	stop()
	require.Zero(t, <-ended, errs.String())
}
