package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// The command asks for what its flags say, follows the job, and says what was left out.
func TestReplayCommand(t *testing.T) {
	url, asked := api(t, `201{"id":"j1","state":"queued"}`,
		`{"id":"j1","state":"running","progress":{"written":3,"pending":1}}`,
		`{"id":"j1","state":"done","progress":{"written":3,"pending":0,"delivered":2,"exhausted":1,"unwanted":4}}`)
	code, out, errs := do(t, "", "replay", "--url", url, "--key", "hk_acme_s", "--from", "2026-01-02T00:00:00Z",
		"--type", "cdr.*", "--subscription", "s1", "--target", "s2", "--only", "all", "--rate", "2.5", "--reason", "why")
	require.Zero(t, code, errs)
	require.Equal(t, `POST /v1/replays {"filter":{"from":"2026-01-02T00:00:00Z","subscription":"s1","type":"cdr.*"},`+
		`"only":"all","ratePerSecond":2.5,"reason":"why","to":"s2"}`, (*asked)[0])
	require.Equal(t, "GET /v1/replays/j1", (*asked)[1])
	require.Equal(t, "done: 3 sent, 2 delivered, 1 exhausted, 0 cancelled; 4 are not wanted by the target\n", out)

	url, asked = api(t, `{"matching":7,"oldest":null}`)
	code, out, errs = do(t, "", "replay", "--url", url, "--key", "hk_acme_s", "--events", "--from", "1700000000000",
		"--only", "never-sent", "--target", "s2", "--dry-run")
	require.Zero(t, code, errs)
	require.Equal(t, `POST /v1/replays {"dryRun":true,"filter":{"events":{"from":"1700000000000"}},"only":"never-sent","to":"s2"}`,
		(*asked)[0])
	require.Contains(t, out, "matching  7")

	url, _ = api(t, `422{"title":"Unprocessable","errors":[{"field":"filter.from","message":"is required"}]}`)
	code, _, errs = do(t, "", "replay", "--url", url, "--key", "hk_acme_s")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "filter.from: is required")

	url, _ = api(t, `201{"id":"j1"}`, `{"id":"j1","state":"stopped","progress":{"cancelled":2}}`)
	code, _, errs = do(t, "", "replay", "--url", url, "--key", "hk_acme_s", "--state", "exhausted")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "the replay was stopped")
}

// Ctrl-C asks: yes stops the job, anything else leaves it running.
func TestReplayInterrupted(t *testing.T) {
	for answer, stopped := range map[string]bool{"y\n": true, "Yes\n": true, "n\n": false, "": false} {
		ctx, interrupt := context.WithCancel(t.Context())
		var methods []string
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			methods = append(methods, r.Method)
			state := "running"
			switch r.Method {
			case http.MethodGet:
				interrupt()
			case http.MethodDelete:
				state = "stopped"
			}
			_, _ = w.Write([]byte(`{"id":"j1","state":"` + state + `","progress":{"written":5,"pending":2,"cancelled":2}}`))
		}))
		var out, errs buffer
		code := run(ctx, []string{"replay", "--url", srv.URL, "--key", "k", "--state", "exhausted"},
			streams{strings.NewReader(answer), &out, &errs})
		srv.Close()
		interrupt()
		require.Zero(t, code, errs.String())
		require.Contains(t, errs.String(), "Stop the replay?")
		require.Equal(t, stopped, methods[len(methods)-1] == http.MethodDelete, "%q: %v", answer, methods)
		require.Equal(t, stopped, strings.HasPrefix(out.String(), "stopped: "), out.String())
		require.Equal(t, !stopped, strings.Contains(errs.String(), "goes on: GET /v1/replays/j1"))
	}
}

// Against a real hub.
func TestReplayOnAHub(t *testing.T) {
	h := hubtest.Start(t)
	sink := hubtest.NewReceiver(t)
	h.Subscribe(sink.URL)
	h.Send(hubtest.Ringing("c", 1))
	sink.Wait(t, 1)
	hubtest.Eventually(t, "it can be replayed", func() bool {
		_, out, _ := do(t, "", "replay", "--url", h.URL, "--key", h.Owner, "--from", "2020-01-01T00:00:00Z",
			"--type", "call.*", "--only", "all", "--dry-run")
		return strings.Contains(out, "matching        1")
	})
	code, out, errs := do(t, "", "replay", "--url", h.URL, "--key", h.Owner, "--from", "2020-01-01T00:00:00Z",
		"--type", "call.*", "--only", "all")
	require.Zero(t, code, errs)
	require.Equal(t, "done: 1 sent, 1 delivered, 0 exhausted, 0 cancelled\n", out)
	require.NotEmpty(t, sink.Wait(t, 2)[1].Header.Get("X-Hookline-Replay"))
}
