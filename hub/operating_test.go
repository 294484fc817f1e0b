package hub_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/operate"
)

var update = flag.Bool("update", false, "write the metrics into docs/operations.md")

const operationsPage = "../docs/operations.md"

func readOperations(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(operationsPage)
	require.NoError(t, err)
	return string(text)
}

// busyHub returns a hub that did a bit of everything, so that every metric has a value
// and the log a line of each kind.
func busyHub(t *testing.T) (h *hubtest.Hub, log *lines) {
	t.Helper()
	log = &lines{}
	h = hubtest.StartLogging(t, slog.New(slog.NewJSONHandler(log, nil)))
	rec := hubtest.NewReceiver(t)
	h.Subscribe(rec.URL)
	shaky := hubtest.NewReceiver(t, http.StatusServiceUnavailable)
	h.Subscribe(shaky.URL, "retry", map[string]any{"live": map[string]any{"schedule": []string{"1s"}}})
	gone := httptest.NewServer(nil)
	gone.Close()
	h.Subscribe(gone.URL)

	h.Send(`{"type":"call.ringing","data":{"callID":"c1","partyID":"p1","thisDN":"1001","callType":99}}`)
	odd := h.Do("POST", "/v1/events", h.Owner, "<no/>", "Content-Encoding", "br")
	require.Equal(t, http.StatusUnsupportedMediaType, odd.Status)
	shaky.Wait(t, 2)
	hubtest.Eventually(t, "all is counted", func() bool {
		return strings.Count(log.String(), `"state":"delivered"`) == 2 && strings.Contains(log.String(), `"error"`)
	})
	return h, log
}

// family is a metric with all its labels.
type family struct{ name, kind, help, labels string }

// families returns the hub's own metrics, in the order of their names.
func families(t *testing.T, h *hubtest.Hub) (found []family) {
	t.Helper()
	a := h.Do("GET", "/metrics", "", nil)
	require.Equal(t, http.StatusOK, a.Status)
	label := regexp.MustCompile(`(\w+)="`)
	for lines := bufio.NewScanner(bytes.NewReader(a.Body)); lines.Scan(); {
		line := lines.Text()
		if help, ok := strings.CutPrefix(line, "# HELP hookline_"); ok {
			name, text, _ := strings.Cut(help, " ")
			found = append(found, family{name: "hookline_" + name, help: text})
			continue
		}
		if !strings.Contains(line, "hookline_") {
			continue
		}

		f := &found[len(found)-1]
		if kind, ok := strings.CutPrefix(line, "# TYPE "+f.name+" "); ok {
			f.kind = kind
			continue
		}
		var labels []string
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			if m[1] != "le" {
				labels = append(labels, "`"+m[1]+"`")
			}
		}
		f.labels = strings.Join(labels, ", ")
	}
	return found
}

// A proxy lets anybody ask, and /metrics asks for no key. So /metrics is not on the API's
// listener if the settings name a proxy.
func TestMetricsAreNotBehindAProxy(t *testing.T) {
	require.Equal(t, http.StatusOK, hubtest.Start(t).Do("GET", "/metrics", "", nil).Status)
	for name, change := range map[string]func(*config.Config){
		"public URL":      func(c *config.Config) { c.PublicURL = "https://hooks.example.com" },
		"trusted proxies": func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.0/8"} },
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, http.StatusNotFound, hubtest.Start(t, change).Do("GET", "/metrics", "", nil).Status)
		})
	}
}

// The page of operations lists the metrics that a hub has and names no others. It names
// every field of the log's line of an attempt.
func TestOperationsHasMetricsAndLog(t *testing.T) {
	h, log := busyHub(t)
	found := families(t, h)
	var table strings.Builder
	table.WriteString("| metric | kind | labels | meaning |\n|---|---|---|---|\n")
	known := map[string]bool{}
	for _, f := range found {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.name, f.kind, f.labels, f.help)
		known[f.name] = true
	}

	// The table of metrics.
	text := readOperations(t)
	block := regexp.MustCompile(`(?s)(<!-- metrics: [^\n]* -->\n)(.*)(<!-- /metrics -->)`)
	at := block.FindStringSubmatchIndex(text)
	require.NotNil(t, at, "the page has a place for them")
	if *update {
		require.NoError(t, os.WriteFile(operationsPage, []byte(text[:at[4]]+table.String()+text[at[5]:]), 0o644))
		return
	}
	require.Equal(t, table.String(), text[at[4]:at[5]], "go test ./hub -run Operations -update")
	for _, name := range regexp.MustCompile(`hookline_[a-z_]+`).FindAllString(text, -1) {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		require.True(t, known[name], name)
	}

	// The fields of an attempt.
	var fields []string
	for line := range strings.SplitSeq(strings.TrimSpace(log.String()), "\n") {
		var attempt map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &attempt), line)
		if attempt["msg"] == "attempt" {
			for name := range attempt {
				fields = append(fields, name)
			}
		}
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	require.Contains(t, fields, "due")
	require.Contains(t, fields, "error")
	_, section, _ := strings.Cut(text, "\n## The log\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, name := range fields {
		require.Contains(t, section, "`"+name+"`", "field of the log")
	}
}

// A hub on a dump of PostgreSQL that was restored as the page says goes on with what
// was accepted before, and with numbers that the lost database never used.
func TestRestoreOfADump(t *testing.T) {
	database := hubtest.EmptyPostgres(t)
	h := hubtest.Start(t, hubtest.InDatabase(database))
	rec := hubtest.NewReceiver(t)
	h.Subscribe(rec.URL, "state", "paused")

	// One event is in the dump, two are lost.
	kept := h.Send(hubtest.Ringing("kept", 1))
	dump := t.TempDir() + "/hookline.dump"
	run(t, "pg_dump", "--format=custom", "--no-owner", "--file="+dump, database)
	h.Send(hubtest.Ringing("lost", 1), hubtest.Ringing("lost", 2))
	lost := newestNumber(t, h)
	owner := h.Owner
	h.Stop()

	m := regexp.MustCompile("(?s)<!-- after-restore -->\n```sql\n(.*?)```\n").FindStringSubmatch(readOperations(t))
	require.NotNil(t, m, "what to do after a restore")
	second := hubtest.EmptyPostgres(t)
	run(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+second, dump)
	run(t, "psql", second, "--set=ON_ERROR_STOP=1", "--command="+m[1])
	restored := hubtest.Start(t, hubtest.InDatabase(second))
	restored.Owner = owner
	require.Equal(t, http.StatusOK, restored.Do("GET", "/v1/events/"+url.PathEscape(kept[0]), owner, nil).Status)
	subs := restored.Do("GET", "/v1/subscriptions", owner, nil).JSON(t)["data"].([]any)
	require.Len(t, subs, 1)
	path := "/v1/subscriptions/" + subs[0].(map[string]any)["id"].(string)
	require.Equal(t, http.StatusOK, restored.Do("POST", path+"/resume", owner, nil).Status)
	restored.Send(hubtest.Ringing("new", 1))
	rec.Wait(t, 2)
	require.Greater(t, newestNumber(t, restored), lost+1<<29)
	rows, err := operate.VerifyAudit(t.Context(), restoredConfig(second))
	require.NoError(t, err)
	require.Positive(t, rows)

	// If the operator forgets the numbers the hub leaves some out by itself.
	third := hubtest.EmptyPostgres(t)
	run(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+third, dump)
	careless := hubtest.Start(t, hubtest.InDatabase(third))
	careless.Owner = owner
	careless.Send(hubtest.Ringing("new", 1))
	require.Greater(t, newestNumber(t, careless), lost+1<<27)
}

func restoredConfig(database string) (c config.Config) {
	hubtest.InDatabase(database)(&c)
	return c
}

// newestNumber returns the number of the newest event.
func newestNumber(t *testing.T, h *hubtest.Hub) int64 {
	t.Helper()
	newest := h.Do("GET", "/v1/events?limit=1", h.Owner, nil).JSON(t)["data"].([]any)[0].(map[string]any)
	return int64(newest["sequence"].(float64))
}

// run runs a program of PostgreSQL's clients, which come with the server that tests
// need.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s: %s", name, out)
}
