package sobot_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// browser is a headless Chromium. A missing one fails the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	require.NotEmpty(t, path,
		"there is no Chromium to show a customer's page: install chromium (Debian: apt-get install chromium)")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "Chromium does not start")
	return ctx
}

// page of a customer, of another origin than the hub.
type page struct {
	t   *testing.T
	ctx context.Context
}

func customersPage(t *testing.T, h *hubtest.Hub) *page {
	files := http.FileServer(http.Dir("testdata"))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/parse") { // the package imports it as bundlers would find it
			r.URL.Path += ".js"
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	p := &page{t, browser(t)}
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate(srv.URL+"/page.html?hub="+url.QueryEscape(h.URL))))
	_, err := chromedp.Run(p.ctx, chromedp.Poll[bool]("window.ready", chromedp.WithPollingTimeout(30*time.Second)))
	require.NoError(t, err)
	return p
}

// message n that the page was told, counted from 0.
func (p *page) message(n int) map[string]any {
	p.t.Helper()
	m, err := chromedp.Run(p.ctx,
		chromedp.Poll[map[string]any](fmt.Sprintf("heard[%d] || (failed.length ? {failed} : null)", n),
			chromedp.WithPollingTimeout(30*time.Second)))
	require.NoError(p.t, err)
	require.NotContains(p.t, m, "failed")
	return m
}

// A customer's page, of another origin, hears the stream as its browser can: by
// EventSource with the token in the URL, and by fetch with headers, for which the
// browser asks first (preflight).
func TestInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	h := hubtest.Start(t)
	_, issue := tokens(t, h)
	token := issue("agent")
	work := func(n int) {
		h.Send(fmt.Sprintf(`{"type": "agent.status", "data": {"agentUUID": "u1", "startTime": %d, "loginStatus": 1, "workStatus": %d}}`,
			time.Now().UnixMilli(), n))
	}
	for _, way := range []string{"byEventSource", "byFetch"} {
		t.Run(way, func(t *testing.T) {
			p := customersPage(t, h)
			work(1)
			key := uuid.NewString()
			require.NoError(t, chromedp.Do(p.ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("%s(%q, %q)", way, token, key))))
			full := p.message(0)
			require.Equal(t, "EventAgentsMetricsWatch", full["MessageID"])
			require.InDelta(t, 1, full["agentsMetrics"].(map[string]any)["list"].([]any)[0].(map[string]any)["agentWorkStatus"],
				0)
			work(7)
			change := p.message(1)
			require.Equal(t, "EventAgentsMetricsChanged", change["MessageID"])
			raw, err := json.Marshal(change["list"])
			require.NoError(t, err)
			require.Contains(t, string(raw), `{"id":"u1","op":"replace","path":"agentsMetrics/list/agentWorkStatus","value":7}`)
			require.Greater(t, change["id"], full["id"], "milliseconds, of one length")
			// Another takes its place; the browser connects again by itself, and is shown all.
			other := h.Stream(watchMetrics+"?product=scc&idempotencyKey="+key, token)
			require.Equal(t, http.StatusOK, other.Status)
			if way == "byFetch" { // which takes an end for the end
				return
			}
			again := p.message(2)
			require.Equal(t, "EventAgentsMetricsWatch", again["MessageID"])
			require.InDelta(t, 7, again["agentsMetrics"].(map[string]any)["list"].([]any)[0].(map[string]any)["agentWorkStatus"],
				0)
			// The page may read why it is refused.
			refusal, err := chromedp.Run(p.ctx, chromedp.Evaluate[map[string]any](`ask("wrong")`, chromedp.EvalAwaitPromise))
			require.NoError(t, err)
			require.Equal(t, map[string]any{"status": 401.0, "reason": "UNAUTHORIZED"}, refusal)
		})
	}
}
