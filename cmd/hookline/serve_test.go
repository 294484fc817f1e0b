package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
)

// served is a hub that runs as a command line.
type served struct {
	out, err buffer
	stop     context.CancelFunc
	ended    chan int
	url      string
}

// serve runs a hub on a data folder until the test ends it.
func serve(t *testing.T, dir string, args ...string) *served {
	t.Helper()
	return serveOn(t, nil, dir, args...)
}

// serveOn is serve with a standard output of the test's choice, unless it is nil.
func serveOn(t *testing.T, out *os.File, dir string, args ...string) *served {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &served{stop: stop, ended: make(chan int, 1)}
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--data", dir, "--log", "json"}, args...)
	go func() {
		at := streams{strings.NewReader(""), &s.out, &s.err}
		if out != nil {
			at.out = out
		}
		s.ended <- run(ctx, args, at)
	}()
	addr := regexp.MustCompile(`"msg":"serving","addr":"([^"]+)"`)
	require.Eventually(t, func() bool {
		m := addr.FindStringSubmatch(s.err.String())
		if m != nil {
			s.url = "http://" + m[1]
		}
		return m != nil
	}, patience, 5*time.Millisecond, "%s", &s.err)
	return s
}

// end stops the hub and expects that it went well.
func (s *served) end(t *testing.T) {
	t.Helper()
	s.stop()
	require.Zero(t, <-s.ended, s.err.String())
}

// Where standard output is no terminal, the keys of the first start are in a file for its
// owner only, whose path is logged. They work, and are neither printed nor in a log.
func TestServeKeepsKeysInAFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when", "absent")
	file := filepath.Join(dir, "first-keys")
	s := serve(t, dir, "--json")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var keys hub.FirstKeys
	require.NoError(t, json.Unmarshal(text, &keys), "%s", text)
	require.Equal(t, "demo", keys.CompanyID)

	code, out, errs := do(t, "", "tenant", "list", "--url", s.url, "--key", keys.Platform)
	require.Zero(t, code, errs)
	require.Contains(t, out, "demo")
	code, _, errs = do(t, "", "subscription", "list", "--url", s.url, "--key", keys.Owner)
	require.Zero(t, code, errs)
	s.end(t)
	require.Contains(t, s.err.String(), file)
	require.NotContains(t, s.out.String()+s.err.String(), keys.Platform)
	require.NotContains(t, s.out.String()+s.err.String(), keys.Owner)

	// As long as the file is there, every start says so.
	again := serve(t, dir)
	again.end(t)
	require.Contains(t, again.err.String(), file)
	require.NoError(t, os.Remove(file))
	last := serve(t, dir)
	last.end(t)
	require.NotContains(t, last.err.String(), file)
}

// A terminal gets the keys of the first start once, also those that an earlier start made
// and could not show. The file is deleted then. At each start it gets a link to the console.
func TestServePrintsKeysOnATerminal(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir).end(t) // not on a terminal
	show := func(args ...string) string {
		screen := newTerminal(t)
		s := serveOn(t, screen.screen, dir, args...)
		s.end(t)
		return strings.ReplaceAll(screen.text(), "\r\n", "\n")
	}
	require.Regexp(t, `(?s)shown this once.*platform key +hk_platform_[0-9a-f]{64}\n.*owner key of demo +hk_demo_[0-9a-f]{64}\n`, show())
	require.NoFileExists(t, filepath.Join(dir, "first-keys"))
	require.Regexp(t, `^Open the console, signed in [^\n]*\n\n  http://127\.0\.0\.1:\d+/console/#[\w-]{43}\n\n$`, show(), "no key again")

	dir = t.TempDir()
	var keys hub.FirstKeys
	require.NoError(t, json.Unmarshal([]byte(show("--json")), &keys))
	require.NotEmpty(t, keys.Owner)

	dir = t.TempDir()
	require.Empty(t, show("--platform-key", "hk_platform_0123456789abcdef"), "whoever set it knows it")
	require.NoFileExists(t, filepath.Join(dir, "first-keys"))
}

// /dev/null is no terminal: nobody would see the keys.
func TestServeIntoNothing(t *testing.T) {
	dir := t.TempDir()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer null.Close()
	serveOn(t, null, dir).end(t)
	require.FileExists(t, filepath.Join(dir, "first-keys"))
}

// What cannot be right stops the start, and says which setting it is.
func TestServeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		env  [2]string
		args []string
		code int
		says string
	}{
		"a misspelled variable": {env: [2]string{"HOOKLINE_ALLOW_NETWORK", "loopback"}, code: 1, says: "unknown setting HOOKLINE_ALLOW_NETWORK"},
		"no duration":           {env: [2]string{"HOOKLINE_SHUTDOWN_TIMEOUT", "soon"}, code: 2, says: "--shutdown-timeout"},
		"no bool":               {env: [2]string{"HOOKLINE_REQUIRE_HTTPS", "perhaps"}, code: 2, says: "HOOKLINE_REQUIRE_HTTPS"},
		"no such log":           {env: [2]string{"HOOKLINE_LOG", "xml"}, code: 2, says: "--log"},
		"no such level":         {env: [2]string{"HOOKLINE_LOG_LEVEL", "loud"}, code: 2, says: "--log-level"},
		"no network":            {env: [2]string{"HOOKLINE_ALLOW_NETWORKS", "10.0.0.0/33"}, code: 1, says: "HOOKLINE_ALLOW_NETWORKS"},
		"no address":            {env: [2]string{"HOOKLINE_ADDR", "127.0.0.1:port"}, code: 1, says: "HOOKLINE_ADDR"},
		"no flag":               {args: []string{"--addres", "127.0.0.1:0"}, code: 2, says: "--addres"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			code, out, err := do(t, "", append([]string{"serve", "--data", t.TempDir()}, c.args...)...)
			require.Equal(t, c.code, code, err)
			require.Contains(t, err, c.says)
			require.Empty(t, out)
		})
	}
	t.Run("migrate", func(t *testing.T) {
		t.Setenv("HOOKLINE_DATE", "./data")
		code, _, err := do(t, "", "migrate", "--data", t.TempDir())
		require.Equal(t, 1, code)
		require.Contains(t, err, "unknown setting HOOKLINE_DATE")
	})
}

func TestServeHelp(t *testing.T) {
	code, out, err := do(t, "", "serve", "--help")
	require.Zero(t, code, err)
	for _, name := range []string{"HOOKLINE_ADDR", "HOOKLINE_DATA", "HOOKLINE_MASTER_KEY", "HOOKLINE_ALLOW_NETWORKS", "HOOKLINE_SHUTDOWN_TIMEOUT"} {
		require.Contains(t, out, "$"+name)
	}
	require.NotContains(t, out, "HOOKLINE_MAX_PAGES", "a rehearsal is nobody's setting")
}

func TestCheckEnvironment(t *testing.T) {
	require.NoError(t, checkEnvironment([]string{"PATH=/bin", "HOOKLINE=1", "HOOKLINE_ADDR=:1", "HOOKLINE_URL=x", "HOOKLINE_KEY=y", "XHOOKLINE_ODD=1"}))
	require.ErrorContains(t, checkEnvironment([]string{"HOOKLINE_ADDR=:1", "HOOKLINE_DATABASE=x"}), "HOOKLINE_DATABASE;")
	require.Error(t, checkEnvironment([]string{"HOOKLINE_="}))
	require.Error(t, checkEnvironment([]string{"HOOKLINE_addr=:1"}))
}

// The README names every setting, and none that is not there.
func TestReadmeNamesEverySetting(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`HOOKLINE_[A-Z_]+`).FindAllString(string(readme), -1) {
		require.NoError(t, checkEnvironment([]string{name + "="}))
		named[name] = true
	}
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if _, hidden := field.Tag.Lookup("hidden"); !hidden {
			require.True(t, named[field.Tag.Get("env")], "%s is missing", field.Tag.Get("env"))
		}
	}
}

func TestMigrate(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second time there is nothing to do
		code, _, err := do(t, "", "migrate", "--data", dir)
		require.Zero(t, code, err)
	}
	require.FileExists(t, filepath.Join(dir, "hookline.db"))
	key, err := os.ReadFile(filepath.Join(dir, "master.key"))
	require.NoError(t, err)
	s := serve(t, dir)
	require.FileExists(t, filepath.Join(dir, "first-keys"), "migrate makes no keys")
	code, _, errs := do(t, "", "migrate", "--data", dir)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "another hookline process")
	s.end(t)
	after, err := os.ReadFile(filepath.Join(dir, "master.key"))
	require.NoError(t, err)
	require.Equal(t, key, after)
}
