package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// health says what a hub says of itself, with nothing but the hub's settings.
func TestHealth(t *testing.T) {
	h := hubtest.Start(t)
	t.Setenv("HOOKLINE_ADDR", strings.TrimPrefix(h.URL, "http://"))
	code, out, errs := do(t, "", "health")
	require.Zero(t, code, errs)
	require.Equal(t, "ready\n", out)
	code, out, errs = do(t, "", "health", "--url", h.URL+"/healthz")
	require.Zero(t, code, errs)
	require.Equal(t, "alive\n", out)

	h.Stop()
	code, out, errs = do(t, "", "health")
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, errs, "refused")
}

func TestHealthOfHTTPS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	t.Setenv("HOOKLINE_TLS_CERT", filepath.Join(t.TempDir(), "not-read.pem"))
	code, _, errs := do(t, "", "health", "--addr", srv.Listener.Addr().String())
	require.Zero(t, code, errs)
}

// What is no 2xx, or cannot be asked, is not well.
func TestHealthRefuses(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/fine", http.StatusFound)
		case "/slow":
			<-r.Context().Done()
		case "/readyz":
			http.Error(w, "the store\x1b[2J is full", http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"not ready":  {[]string{"--url", srv.URL}, "503 Service Unavailable: the store [2J is full"},
		"redirect":   {[]string{"--url", srv.URL + "/moved"}, "302"},
		"no answer":  {[]string{"--url", srv.URL + "/slow", "--timeout", "50ms"}, "deadline"},
		"no URL":     {[]string{"--url", "localhost:8080"}, "--url: must begin with http"},
		"no host":    {[]string{"--url", "http:///readyz"}, "--url: must begin with http"},
		"no address": {[]string{"--addr", "8080"}, "HOOKLINE_ADDR"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := do(t, "", append([]string{"health"}, c.args...)...)
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Contains(t, errs, c.says)
		})
	}
}

func TestProbe(t *testing.T) {
	for addr, want := range map[string]string{
		":8080":           "http://127.0.0.1:8080/readyz",
		"0.0.0.0:8080":    "http://127.0.0.1:8080/readyz",
		"[::]:8080":       "http://[::1]:8080/readyz",
		"10.1.2.3:80":     "http://10.1.2.3:80/readyz",
		"hub.internal:80": "http://hub.internal:80/readyz",
	} {
		u, err := (&HealthCmd{Addr: addr}).probe()
		require.NoError(t, err)
		require.Equal(t, want, u.String())
		require.Equal(t, addr != "hub.internal:80", probeTLS(u).InsecureSkipVerify, "a name must be the certificate's")
	}
}
