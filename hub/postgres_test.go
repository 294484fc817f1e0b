package hub_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/pgtest"
	"github.com/hookline/hookline/hub/operate"
)

// On PostgreSQL, as on the embedded store, an event reaches its receivers, is retried
// until it is taken, and can be read back, also after a restart.
func TestStoryOnPostgres(t *testing.T) {
	h := hubtest.Start(t, hubtest.OnPostgres(t))
	flaky, calm := hubtest.NewReceiver(t, 503, 429), hubtest.NewReceiver(t)
	retry := map[string]any{"live": map[string]any{"schedule": []string{"50ms", "50ms", "50ms"}}}
	shaky := h.Subscribe(flaky.URL, "events", []string{"call.*"}, "retry", retry)["id"].(string)
	h.Subscribe(calm.URL, "events", []string{"call.*", "cdr.*"})
	const calls = 30
	for n := range calls {
		h.Send(hubtest.Ringing(fmt.Sprint("c", n%5), n))
	}
	h.Send(hubtest.CDR("d1", 1))
	flaky.Wait(t, calls+2)
	calm.Wait(t, calls+1)
	hubtest.Eventually(t, "all delivered", func() bool { return len(inState(t, h, "delivered")) == 2*calls+1 })

	list := h.Do("GET", "/v1/deliveries?limit=100&subscription="+shaky, h.Owner, nil).JSON(t)["data"].([]any)
	require.Len(t, list, calls)
	refusals := map[any]int{} // which delivery got them depends on which key came first
	for _, d := range list {
		id := d.(map[string]any)["id"].(string)
		made := h.Do("GET", "/v1/deliveries/"+id+"/attempts", h.Owner, nil)
		for _, a := range made.JSON(t)["data"].([]any) {
			refusals[a.(map[string]any)["status"]]++
		}
	}
	require.Equal(t, map[any]int{503.0: 1, 429.0: 1, 200.0: calls}, refusals)
	require.Equal(t, http.StatusOK, h.Do("GET", "/readyz", "", nil).Status)

	h.Restart()
	require.Len(t, inState(t, h, "delivered"), 2*calls+1)
	h.Send(hubtest.CDR("d2", 1))
	calm.Wait(t, calls+2)
}

// While the database is away events are refused and nothing else breaks. The outcomes of
// pushes in flight are recorded when it is back.
func TestPostgresAway(t *testing.T) {
	server := pgtest.Start(t)
	t.Setenv(pgtest.Variable, server.URL)
	h := hubtest.Start(t, hubtest.OnPostgres(t))
	answer := make(chan struct{})
	r := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		<-answer
		w.WriteHeader(http.StatusNoContent)
	})
	h.Subscribe(r.URL, "timeoutMs", 30000)
	for n := range 5 {
		h.Send(hubtest.CDR(fmt.Sprint("c", n), n))
	}
	r.Wait(t, 5)

	require.NoError(t, server.Signal(syscall.SIGQUIT))
	a := h.Do("POST", "/v1/events", h.Owner, hubtest.CDR("refused", 1))
	require.Equal(t, http.StatusServiceUnavailable, a.Status, "%s", a.Body)
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.Equal(t, http.StatusServiceUnavailable, h.Do("GET", "/readyz", "", nil).Status)
	require.Equal(t, http.StatusOK, h.Do("GET", "/healthz", "", nil).Status)
	a = h.Do("GET", "/v1/deliveries", h.Owner, nil)
	require.Equal(t, http.StatusServiceUnavailable, a.Status)
	require.NotContains(t, string(a.Body), "pq:", "internals stay in the log")
	close(answer)

	require.NoError(t, server.Start())
	hubtest.Eventually(t, "ready again", func() bool { return h.Do("GET", "/readyz", "", nil).Status == http.StatusOK })
	hubtest.Eventually(t, "all recorded", func() bool { return len(inState(t, h, "delivered")) == 5 })
	require.Equal(t, 5, len(r.Pushes()), "nothing comes twice")
	h.Send(hubtest.CDR("again", 1))
	r.Wait(t, 6)
}

// Hubs that start at the same time on an empty database make the first keys once.
func TestFirstStartTogether(t *testing.T) {
	t.Parallel()
	in := hubtest.InDatabase(hubtest.EmptyPostgres(t))
	hubs := make([]*hub.Hub, 3)
	errs := make([]error, len(hubs))
	folders := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	var wg sync.WaitGroup
	for i := range hubs {
		wg.Go(func() {
			cfg := config.Config{Addr: "127.0.0.1:0", ShutdownTimeout: time.Second, Data: folders[i]}
			in(&cfg)
			hubs[i], errs[i] = hub.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
		})
	}
	wg.Wait()
	first := 0
	for i, h := range hubs {
		require.NoError(t, errs[i])
		if h.First() != nil {
			first++
			require.FileExists(t, h.FirstFile())
		}
		require.NoError(t, h.Close())
	}
	require.Equal(t, 1, first)
}

// The password of the database is in no error and not in the log.
func TestPostgresSettings(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	place, err := url.Parse(hubtest.EmptyPostgres(t))
	require.NoError(t, err)
	place.User = url.UserPassword("postgres", "hush-hush")
	cfg := config.Config{
		Addr: "127.0.0.1:0", Data: filepath.Join(t.TempDir(), "none"), ShutdownTimeout: time.Second,
		DatabaseURL: place.String(),
	}
	for _, bad := range []struct{ url, say string }{
		{cfg.DatabaseURL, "HOOKLINE_MASTER_KEY must be given"},
		{"mysql://u:hush-hush@h/d", "HOOKLINE_DATABASE_URL: must begin with postgres://"},
		{"postgres://u:hush-hush@h/", "HOOKLINE_DATABASE_URL: must name a database"},
	} {
		c := cfg
		c.DatabaseURL = bad.url
		_, err := hub.New(t.Context(), c, log)
		require.ErrorContains(t, err, bad.say)
		require.NotContains(t, err.Error(), "hush-hush")
	}
	hubtest.InDatabase(cfg.DatabaseURL)(&cfg)
	require.NoError(t, operate.Migrate(t.Context(), cfg, log))
	require.NoDirExists(t, cfg.Data, "nothing is kept here")

	// Another master key than the one that it was made with.
	other := cfg
	other.MasterKey = strings.Repeat("ab", 32)
	_, err = hub.New(t.Context(), other, log)
	require.ErrorContains(t, err, "master key is not the one")
	require.ErrorContains(t, operate.Backup(t.Context(), cfg, filepath.Join(t.TempDir(), "b"), false), "pg_dump")

	// Nobody listens there.
	place.Host = "127.0.0.1:1"
	other.DatabaseURL = place.String()
	_, err = hub.New(t.Context(), other, log)
	require.Error(t, err)
	require.NotContains(t, err.Error()+out.String(), "hush-hush")
	rows, err := operate.VerifyAudit(t.Context(), cfg)
	require.NoError(t, err)
	require.Zero(t, rows)
}
