package hub_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/operate"
	"github.com/hookline/hookline/signing"
)

// keep makes stores for TestStoresOfEarlierVersions. To add those of a commit,
// run there, where this file, stores_story_test.go and pg_dump are:
//
//	go test ./hub -run StoresOfEarlierVersions -keep <commit>
//
// and add what it wrote into testdata/stores. Never make stores of a commit
// again with the code of a later one: that they are old is what they are for.
var keep = flag.String("keep", "", "make stores of this version, named by this commit, instead of reading those there are")

const storesFolder = "testdata/stores"

// keptStore is what is known of a store that an earlier version made: how to get
// in, what it answered, and what it had still to deliver.
type keptStore struct {
	Keys    map[string]string // platform, owner, auditor
	Answers []keptAnswer
	Waiting string   // id of the paused subscription
	AppKey  string   // of that subscription
	Pending []string // ids of its deliveries that wait
}

// keptAnswer is a request and what was answered.
type keptAnswer struct {
	Method, Path string
	Key          string   // a name in Keys
	Headers      []string `json:",omitempty"`
	Body         string   `json:",omitempty"`
	Status       int
	Answer       json.RawMessage
}

// storesMasterKey seals the secrets of all kept stores.
var storesMasterKey = base64.StdEncoding.EncodeToString(make([]byte, 32))

// changedOnPurpose puts into a kept answer what later versions say differently.
var changedOnPurpose = strings.NewReplacer(
	// The Content-Type of a push is spelled as the vendor's document spells it. The
	// requests of attempts are made again to be shown, so those of before have it too.
	`"application/json; charset=utf-8"`, `"application/json;charset=utf-8"`,
)

// A store that an earlier version made opens, answers what it answered then, and
// goes on where it stopped. So every migration is tried on stores with something
// in them.
func TestStoresOfEarlierVersions(t *testing.T) {
	if *keep != "" {
		keepStore(t, *keep+"-sqlite")
		keepStore(t, *keep+"-postgres")
		return
	}
	files, err := filepath.Glob(storesFolder + "/*.json.gz")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json.gz")
		t.Run(name, func(t *testing.T) { testKeptStore(t, name) })
	}
}

func testKeptStore(t *testing.T, name string) {
	var store keptStore
	require.NoError(t, json.Unmarshal(unpack(t, name+".json.gz"), &store))
	place := openKept(t, name)
	h := hubtest.Start(t, testClock, place)
	h.Owner = store.Keys["owner"]

	// What it answered it answers still. Later versions may say more.
	for _, asked := range store.Answers {
		a := h.Do(asked.Method, asked.Path, store.Keys[asked.Key], nonEmpty(asked.Body), asked.Headers...)
		require.Equal(t, asked.Status, a.Status, "%s %s: %s", asked.Method, asked.Path, a.Body)
		var want, got any
		require.NoError(t, json.Unmarshal([]byte(changedOnPurpose.Replace(string(asked.Answer))), &want))
		require.NoError(t, json.Unmarshal(a.Body, &got))
		forgetNumbers(asked, want)
		require.Empty(t, missing(want, got, ""), "%s %s", asked.Method, asked.Path)
	}

	// What had to wait is delivered, signed with the key of then.
	rec := hubtest.NewReceiver(t)
	sub := "/v1/subscriptions/" + store.Waiting
	a := h.Do("PATCH", sub, h.Owner, map[string]any{"url": rec.URL})
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	a = h.Do("POST", sub+"/resume", h.Owner, nil)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	var delivered []string
	for _, p := range rec.Wait(t, len(store.Pending)) {
		m, err := signing.VerifyWebhook(p.Header, p.Body, store.AppKey)
		require.NoError(t, err)
		delivered = append(delivered, m.ID)
	}
	require.ElementsMatch(t, store.Pending, delivered)

	// New events come behind, are pushed and found.
	h.Send(`{"type":"cdr.call","data":{"callID":"of this version","callType":2,"startTime":1700000000000,"endTime":1700000001000}}`)
	rec.Wait(t, len(store.Pending)+1)
	a = h.Do("POST", mainRecords, h.Owner, `{"startTime":1700000000000,"endTime":1700000000001,"pageNum":1,"pageSize":10}`)
	require.Equal(t, "of this version", gjson.GetBytes(a.Body, "data.list.0.callID").String(), "%s", a.Body)

	// And no row of the audit log was touched.
	var cfg config.Config
	place(&cfg)
	rows, err := operate.VerifyAudit(t.Context(), cfg)
	require.NoError(t, err)
	require.Positive(t, rows)
}

// forgetNumbers takes the numbers of rows of the audit log out of a kept answer, if it was
// for a tenant: only the platform sees them now.
func forgetNumbers(asked keptAnswer, answer any) {
	if !strings.HasPrefix(asked.Path, "/v1/audit") || asked.Key == "platform" {
		return
	}
	if page, ok := answer.(map[string]any); ok {
		rows, _ := page["data"].([]any)
		for _, row := range rows {
			delete(row.(map[string]any), "seq")
		}
	}
}

// openKept puts the store of a name where a hub can open it.
func openKept(t *testing.T, name string) func(*config.Config) {
	t.Helper()
	if strings.HasSuffix(name, "-sqlite") {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "hookline.db"), unpack(t, name+".db.gz"), 0o600))
		return inKeptFolder(dir)
	}
	url := hubtest.EmptyPostgres(t)
	db, err := sql.Open("postgres", url)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), string(unpack(t, name+".sql.gz")))
	require.NoError(t, err)
	return hubtest.InDatabase(url)
}

func inKeptFolder(dir string) func(*config.Config) {
	return func(c *config.Config) {
		hubtest.InFolder(dir)(c)
		c.MasterKey = storesMasterKey
	}
}

func unpack(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join(storesFolder, name))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	raw, err := io.ReadAll(z)
	require.NoError(t, err)
	return raw
}

func nonEmpty(body string) any {
	if body == "" {
		return nil
	}
	return body
}

// missing names the first thing of want that got does not have; "" when it has all
// of it. Objects may have further members.
func missing(want, got any, at string) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: %v, not an object", at, got)
		}
		for name, v := range w {
			if _, there := g[name]; !there {
				return at + "." + name + " is not there"
			}
			if what := missing(v, g[name], at+"."+name); what != "" {
				return what
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s: %v, not a list of %d", at, got, len(w))
		}
		for i := range w {
			if what := missing(w[i], g[i], fmt.Sprintf("%s[%d]", at, i)); what != "" {
				return what
			}
		}
	default:
		if want != got {
			return fmt.Sprintf("%s: %v, not %v", at, got, want)
		}
	}
	return ""
}

func TestMissing(t *testing.T) {
	for _, tt := range []struct{ want, got, missing string }{
		{`{"a":1}`, `{"a":1,"b":2}`, ""},
		{`{"a":1}`, `{"b":2}`, ".a is not there"},
		{`{"a":[1,{"b":null}]}`, `{"a":[1,{"b":null,"c":0}]}`, ""},
		{`{"a":[1,{"b":null}]}`, `{"a":[1,{"b":0}]}`, ".a[1].b: 0, not <nil>"},
		{`{"a":[1]}`, `{"a":[1,2]}`, ".a: [1 2], not a list of 1"},
		{`{"a":[1]}`, `{"a":"x"}`, ".a: x, not a list of 1"},
		{`[{}]`, `[1]`, "[0]: 1, not an object"},
	} {
		var want, got any
		require.NoError(t, json.Unmarshal([]byte(tt.want), &want))
		require.NoError(t, json.Unmarshal([]byte(tt.got), &got))
		require.Equal(t, tt.missing, missing(want, got, ""))
	}
}

// keepStore plays a story on an empty store, asks it everything, and writes the
// store and its answers.
func keepStore(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	require.NoError(t, os.MkdirAll(storesFolder, 0o755))
	var place func(*config.Config)
	var copyStore func()
	if strings.HasSuffix(name, "-sqlite") {
		dir := t.TempDir()
		place = inKeptFolder(dir)
		copyStore = func() {
			raw, err := os.ReadFile(filepath.Join(dir, "hookline.db"))
			require.NoError(t, err)
			pack(t, name+".db.gz", raw)
		}
	} else {
		url := hubtest.EmptyPostgres(t)
		place = hubtest.InDatabase(url)
		copyStore = func() { pack(t, name+".sql.gz", dump(ctx, t, url)) }
	}

	h := hubtest.Start(t, testClock, place)
	s := &story{t: t, Hub: h, keptStore: keptStore{Keys: map[string]string{"platform": hubtest.PlatformKey, "owner": h.Owner}}}
	s.tell()
	s.askAll()
	h.Stop()

	copyStore()
	raw, err := json.Marshal(s.keptStore)
	require.NoError(t, err)
	pack(t, name+".json.gz", raw)
}

// dump returns the statements that make a database with the same rows, without
// those that only psql knows.
func dump(ctx context.Context, t *testing.T, url string) []byte {
	t.Helper()
	raw, err := exec.CommandContext(ctx, "pg_dump", "--inserts", "--rows-per-insert=100", "--no-owner", "--no-privileges", url).Output()
	require.NoError(t, err)
	var kept [][]byte
	for line := range bytes.Lines(raw) {
		if !bytes.HasPrefix(line, []byte(`\`)) && !bytes.HasPrefix(line, []byte("--")) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, nil)
}

func pack(t *testing.T, name string, raw []byte) {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	require.NoError(t, err)
	_, err = z.Write(raw)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(filepath.Join(storesFolder, name), b.Bytes(), 0o644))
	t.Logf("%s: %d bytes of %d", name, b.Len(), len(raw))
}
