package hub_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// A callback that leads to the hub itself is refused when the subscription is made, or,
// if only the dial shows where it leads, at the dial.
func TestHubDoesNotPushToItself(t *testing.T) {
	h := hubtest.Start(t, func(c *config.Config) { c.PublicURL = "https://hooks.example.com" })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(h.URL, "http://"))
	require.NoError(t, err)
	for _, url := range []string{
		h.URL + "/v1/events", "http://localhost:" + port, "https://hooks.example.com/v1/events?key=x",
	} {
		a := h.Do("POST", "/v1/subscriptions", h.Owner, map[string]any{"url": url})
		refused(t, 422, a)
		require.Contains(t, string(a.Body), "hub's own", url)
	}

	// The hub moves to where a subscription points already, as if a name led here from
	// then on.
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	first := hubtest.Start(t)
	sub := first.Subscribe("http://" + free.Addr().String() + "/v1/events")
	first.Stop()
	require.NoError(t, free.Close())
	moved := hubtest.Start(t, first.SameStore(), func(c *config.Config) { c.Addr = free.Addr().String() })
	moved.Owner = first.Owner
	id := moved.Send(hubtest.Ringing("c1", 1))[0]
	hubtest.Eventually(t, "blocked", func() bool {
		a := moved.Do("GET", "/v1/deliveries?subscription="+sub["id"].(string), moved.Owner, nil)
		d := a.JSON(t)["data"].([]any)
		return len(d) == 1 && d[0].(map[string]any)["lastError"] == "blocked"
	})
	require.Len(t, moved.Do("GET", "/v1/events", moved.Owner, nil).JSON(t)["data"], 1, "nothing came in but %s", id)
}

// A body whose length is unknown is not read as another request, at any listener: also not
// that of OPTIONS *, which net/http would answer by itself.
func TestEmptyContentLength(t *testing.T) {
	h := hubtest.Start(t, func(c *config.Config) { c.MetricsAddr = "localhost:0" })
	require.Len(t, h.Addrs(), 2)
	for _, addr := range h.Addrs() {
		for _, line := range []string{
			"POST /v1/events", "GET /metrics", "GET /healthz", "OPTIONS *", "OPTIONS /v1/events", "POST /tokens/company",
			"POST /nowhere", "HEAD /docs",
		} {
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
			_, err = io.WriteString(conn, line+" HTTP/1.1\r\nHost: a.b\r\nContent-Length: \r\n\r\n"+
				"GET /healthz HTTP/1.1\r\nHost: a.b\r\n\r\n")
			require.NoError(t, err)
			all, err := io.ReadAll(conn) // until the hub closes it
			require.NoError(t, err, "%s at %s", line, addr)
			require.NoError(t, conn.Close())
			require.Contains(t, string(all), "Connection: close", "%s at %s", line, addr)
			require.Equal(t, 1, strings.Count(string(all), "HTTP/1.1 "), "%s at %s: %s", line, addr, all)
		}
	}
}

// Every server of the program sends its requests through a handler that knows the rule of
// TestEmptyContentLength, also OPTIONS *.
func TestServersAreGuarded(t *testing.T) {
	servers := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") ||
			strings.HasPrefix(path, filepath.Join("..", "docs")) { // receivers of others
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, server := range strings.Split(string(source), "http.Server{")[1:] {
			servers++
			server, _, _ = strings.Cut(server, "\n\t}\n")
			require.Regexp(t, `Handler: +(h\.bounds\.gate\(\w+\)\.Wrap|fair\.Whole)\(`, server, path)
			require.Regexp(t, `DisableGeneralOptionsHandler: +true`, server, path)
		}
		return nil
	}))
	require.Equal(t, 3, servers)
}

func TestPublicURLIsChecked(t *testing.T) {
	for _, bad := range []string{
		"hooks.example.com", "ftp://a", "https://", "https://u:p@a", "https://a?b", "https://a#b", "http://[::1",
	} {
		cfg := config.Config{Addr: "127.0.0.1:0", Data: t.TempDir(), PublicURL: bad, ShutdownTimeout: time.Second}
		_, err := hub.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, "HOOKLINE_PUBLIC_URL", bad)
	}
}

// Wrong keys are slowed down by the address that a trusted proxy names. Other proxies
// are not believed.
func TestTrustedProxies(t *testing.T) {
	h := hubtest.Start(t, func(c *config.Config) { c.TrustedProxies = []string{"loopback"} })
	wrong := func(h *hubtest.Hub, client string) int {
		return h.Do("GET", "/v1/events", access.NewKey("demo"), nil, "X-Forwarded-For", client).Status
	}
	for range 10 {
		require.Equal(t, 401, wrong(h, "198.51.100.1, 192.0.2.1"))
	}
	require.Equal(t, 429, wrong(h, "192.0.2.1"))
	require.Equal(t, 401, wrong(h, "192.0.2.2"), "another client behind the same proxy")

	direct := hubtest.Start(t)
	for i := range 10 {
		require.Equal(t, 401, wrong(direct, fmt.Sprint("192.0.2.", i)))
	}
	require.Equal(t, 429, wrong(direct, "192.0.2.77"), "no proxy is trusted")
}

// The hub serves https by TLS 1.2 or later, and HTTP/2. It uses a renewed certificate
// without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	hubtest.SelfSigned(t, dir, 1)
	h := hubtest.Start(t, func(c *config.Config) {
		c.TLSCert = filepath.Join(dir, "cert.pem")
		c.TLSKey = filepath.Join(dir, "key.pem")
	})
	addr := strings.TrimPrefix(h.URL, "http://")

	// get returns an answer whose body was read and closed. It accepts any certificate,
	// which the test compares by its serial.
	get := func(change func(*tls.Config)) (*http.Response, error) {
		conf := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
		if change != nil {
			change(conf)
		}
		tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/healthz", nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		return resp, err
	}
	serial := func() int64 {
		resp, err := get(nil)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, 2, resp.ProtoMajor)
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}

	require.EqualValues(t, 1, serial())
	resp, err := get(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS12, resp.TLS.Version)
	_, err = get(func(c *tls.Config) {
		c.MinVersion = tls.VersionTLS10
		c.MaxVersion = tls.VersionTLS11
	})
	require.ErrorContains(t, err, "version")

	// While only one file is replaced the old certificate stays. Then the new one is used.
	old, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	require.NoError(t, err)
	hubtest.SelfSigned(t, dir, 2)
	renewed, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), old[:len(old)-10], 0o600))
	require.EqualValues(t, 1, serial())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), renewed, 0o600))
	require.EqualValues(t, 2, serial())
}

func TestTLSFilesAreChecked(t *testing.T) {
	dir := t.TempDir()
	hubtest.SelfSigned(t, dir, 1)
	for _, files := range [][2]string{
		{"cert.pem", ""}, {"", "key.pem"}, {"no.pem", "key.pem"}, {"key.pem", "key.pem"},
	} {
		c := config.Config{Addr: "127.0.0.1:0", Data: t.TempDir(), ShutdownTimeout: time.Second}
		if files[0] != "" {
			c.TLSCert = filepath.Join(dir, files[0])
		}
		if files[1] != "" {
			c.TLSKey = filepath.Join(dir, files[1])
		}
		_, err := hub.New(t.Context(), c, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, "HOOKLINE_TLS_", "%v", files)
	}
}

// lines is a log that can be read while the hub writes it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Whatever goes well or wrong, no key, token, header value, callback query, body or
// number is in the log, even if it logs everything.
func TestLogHoldsNoSecrets(t *testing.T) {
	var log lines
	everything := &slog.HandlerOptions{Level: slog.LevelDebug - 8}
	h := hubtest.StartLogging(t, slog.New(slog.NewTextHandler(&log, everything)))
	secrets := []string{hubtest.PlatformKey, h.Owner}
	keep := func(s string) string {
		secrets = append(secrets, s)
		return s
	}

	key := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"ingest","name":"pbx"}`).JSON(t)["key"].(string)
	keep(key)
	wrong := keep(access.NewKey("demo"))
	require.Equal(t, 401, h.Do("GET", "/v1/events", wrong, nil).Status)
	require.Equal(t, 403, h.Do("POST", "/v1/events?key="+h.Owner, "", hubtest.CDR("c0", 0)).Status)
	require.Equal(t, 401, h.Do("GET", "/v1/events?key="+key, "", nil).Status)

	// Receivers of every kind, all with secrets in their URLs and headers.
	header, token := keep("s3cr3t-header-value"), keep("s3cr3t-query-value")
	answer := keep("s3cr3t-answer")
	receivers := map[string]func(http.ResponseWriter, *http.Request){
		"delivered": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) },
		"status": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", answer)
			w.WriteHeader(500)
			_, _ = io.WriteString(w, answer)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/?to="+answer, http.StatusFound) },
		"reset":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"timeout":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
	want := map[string]string{}
	subscribe := func(temper, url string) {
		encryption := []string{"none", "aes-256-gcm"}[len(want)%2]
		sub := h.Subscribe(url+"/hook?token="+token, "headers", map[string]string{"X-Token": header},
			"encryption", encryption, "timeoutMs", 1000)
		keep(sub["appKey"].(string))
		keep(sub["signingSecret"].(string))
		if k, ok := sub["encryptionKey"].(string); ok {
			keep(k)
		}
		want[sub["id"].(string)] = temper
	}
	for temper, f := range receivers {
		subscribe(temper, hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, r *http.Request) { f(w, r) }).URL)
	}
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	subscribe("connect", "http://"+closed.Addr().String())
	subscribe("dns", "https://nowhere.invalid")
	subscribe("tls", strings.Replace(hubtest.NewReceiver(t).URL, "http://", "https://", 1))

	// Good events and bad ones.
	number := keep("+6591234567")
	h.Send(fmt.Sprintf(`{"type":"cdr.call","data":{"callID":"c1","customerNumber":%q,"startTime":1637068256419,`+
		`"endTime":1637068256418,"dialogue":%q}}`, number, keep("s3cr3t-dialogue")))
	for _, bad := range []string{
		`{"type":"cdr.call","data":{"callID":1.5,"customerNumber":"` + number + `"}}`,
		`{"customerNumber":"` + number,
		`["` + number + `"]`,
		`{"type":"` + number + `","data":{}}`,
		`{"type":"call.ringing","data":{"callID":"c","companyId":"` + number + `"}}`,
	} {
		require.GreaterOrEqual(t, h.Do("POST", "/v1/events", h.Owner, bad).Status, 400, bad)
	}
	for _, bad := range []map[string]any{
		{"url": "http://10.0.0.1/?token=" + token, "headers": map[string]string{"Host": header}},
		{"url": "http://u:" + token + "@crm.example/", "appKey": header},
	} {
		refused(t, 422, h.Do("POST", "/v1/subscriptions", h.Owner, bad))
	}

	for id, temper := range want {
		hubtest.Eventually(t, temper, func() bool {
			var list struct{ Data []map[string]any }
			require.NoError(t, json.Unmarshal(h.Do("GET", "/v1/deliveries?subscription="+id, h.Owner, nil).Body, &list))
			return len(list.Data) == 1 && (list.Data[0]["lastError"] == temper || list.Data[0]["state"] == temper)
		})
	}

	h.Restart() // so that the log has a start and a stop too
	for line := range strings.Lines(log.String()) {
		for _, secret := range secrets {
			// Contains, as NotContains would print the whole log.
			require.False(t, strings.Contains(line, strings.TrimPrefix(secret, "+")), "%s is in: %s", secret, line)
		}
	}
	for _, temper := range []string{"redirect", "reset", "timeout", "connect", "dns", "tls"} {
		require.Contains(t, log.String(), "result="+temper, "the test must have made the hub say something")
	}
}
