package hub_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// memoryInUse is the memory in use, in MiB, after a collection.
func memoryInUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc+m.StackInuse) / (1 << 20)
}

// callers are connections that each sent the same and then nothing.
type callers struct {
	t     *testing.T
	conns []net.Conn
}

func connect(t *testing.T, h *hubtest.Hub, n int, sent string) *callers {
	t.Helper()
	c := &callers{t: t}
	t.Cleanup(c.leave)
	for range n {
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
		require.NoError(t, err)
		c.conns = append(c.conns, conn)
		_, err = io.WriteString(conn, sent)
		require.NoError(t, err)
	}
	return c
}

func (c *callers) leave() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// wait until the hub has closed all of them. It returns when the last one was.
func (c *callers) wait(most time.Duration) time.Duration {
	c.t.Helper()
	began := time.Now()
	for i, conn := range c.conns {
		require.NoError(c.t, conn.SetReadDeadline(began.Add(most)))
		_, err := io.Copy(io.Discard, conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatalf("connection %d of %d is open after %s", i, len(c.conns), most)
		}
	}
	return time.Since(began)
}

// stalled is the head of a request with a body of 1 MiB, and the beginning of it.
func stalled(sent int, method, path string, headers ...string) string {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", method,
		path, 1<<20)
	return head + strings.Join(append(headers, ""), "\r\n") + "\r\n" + `{"ssid": "` + strings.Repeat("x", sent)
}

// Connections without a key that stall in a body keep neither memory nor themselves,
// whatever they ask for.
func TestStalledBodiesWithoutKey(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	h := hubtest.Start(t)
	const each = 100
	before := memoryInUse()
	var crowds []*callers
	for _, path := range []string{"/tokens/company", "/deepcall/api/v2/liveQueue/count", "/v1/events", "/nowhere"} {
		crowds = append(crowds, connect(t, h, each/2, stalled(12<<10, "POST", path)),
			connect(t, h, each/2, stalled(512<<10, "POST", path)))
	}
	time.Sleep(time.Second)
	grown := memoryInUse() - before
	require.Less(t, grown, 64.0, "MiB for %d connections", 4*each)
	t.Logf("%d connections: %.1f MiB more than %.1f", 4*each, grown, before)
	for _, c := range crowds {
		c.wait(30 * time.Second)
	}
}

// Answers that nobody reads are given up, and so is the connection.
func TestUnreadAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Parallel()
	h := hubtest.Start(t)
	require.Equal(t, http.StatusOK, h.Do("GET", "/openapi.json", "", nil).Status)
	c := connect(t, h, 40, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: hub\r\n\r\n", 200))
	began := time.Now()
	time.Sleep(15 * time.Second)
	for _, conn := range c.conns {
		// Whoever reads now finds what was on its way, and then the end.
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		n, err := io.Copy(io.Discard, conn)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "open after %s", time.Since(began))
		require.Less(t, n, int64(200*100_000))
	}
}

// tenant makes another tenant, and returns an owner's key of it.
func tenant(t *testing.T, h *hubtest.Hub, companyID string) string {
	t.Helper()
	made := h.Do("POST", "/v1/tenants", hubtest.PlatformKey, map[string]any{"companyId": companyID, "name": companyID})
	require.Equal(t, http.StatusCreated, made.Status, "%s", made.Body)
	key := h.Do("POST", "/v1/tenants/"+companyID+"/keys", hubtest.PlatformKey,
		map[string]any{"role": "owner", "name": "test"})
	require.Equal(t, http.StatusCreated, key.Status, "%s", key.Body)
	return key.JSON(t)["key"].(string)
}

// squeezed is the head of a request whose body is gzip of 7 MiB, of which all comes
// but the last byte.
func squeezed(t *testing.T, key string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(bytes.Repeat([]byte(" "), 7<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
		key, b.Len(), b.Bytes()[:b.Len()-1])
}

// Bodies of gzip that stall after they have grown hold a part of the budget, not all
// of it, and only until they are cut off: others' events are taken meanwhile.
func TestStalledGzip(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Parallel()
	h := hubtest.Start(t)
	flood := tenant(t, h, "flood")
	c := connect(t, h, 64, squeezed(t, flood))
	time.Sleep(2 * time.Second) // all have grown as far as they can
	for n := range 50 {
		a := h.Do("POST", "/v1/events", h.Owner, "["+hubtest.Ringing(fmt.Sprint("c", n), n)+strings.Repeat(" ", 1<<20)+"]")
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	}
	c.wait(30 * time.Second)
	require.Equal(t, http.StatusAccepted, h.Do("POST", "/v1/events", flood, hubtest.Ringing("c", 1)).Status,
		"it may go on itself")
}

// Uploads that stall keep the places of their tenant, and only until they are cut
// off: others put and hear recordings meanwhile.
func TestStalledUploads(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Parallel()
	h := hubtest.Start(t)
	flood := tenant(t, h, "flood")
	c := connect(t, h, 64,
		fmt.Sprintf("PUT /v1/recordings/r HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nContent-Type: audio/mpeg\r\nContent-Length: %d\r\n\r\nsound",
			flood, 1<<20))
	time.Sleep(time.Second)
	for range 5 {
		a := h.Do("PUT", "/v1/recordings/mine", h.Owner, "sound", "Content-Type", "audio/mpeg")
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		a = h.Do("GET", "/v1/recordings/mine", h.Owner, nil)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	}
	c.wait(60 * time.Second)
}

// One tenant's questions hang in the database, more of them than there are connections that
// read. Others are answered all the same, because a tenant's questions have a share of the
// places. A table that is locked makes the questions hang.
func TestReadersOfOneTenant(t *testing.T) {
	database := hubtest.Postgres(t)
	h := hubtest.Start(t, hubtest.InDatabase(database))
	other := h.ForTenant(t, "other")
	other.Send(hubtest.Ringing("c", 1))
	raw, err := sql.Open("postgres", database)
	require.NoError(t, err)
	defer raw.Close()
	lock, err := raw.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer lock.Rollback() //nolint:errcheck // it wrote nothing
	_, err = lock.ExecContext(t.Context(), "LOCK TABLE recordings IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)

	const questions = 40 // the hub reads through 16 connections
	done := make(chan error, questions)
	for range questions {
		go func() {
			_, err := h.Try("GET", "/v1/recordings", h.Owner, nil)
			done <- err
		}()
	}
	hubtest.Eventually(t, "questions hang", func() bool {
		var waiting int
		require.NoError(t, raw.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks
			WHERE NOT granted AND relation = 'recordings'::regclass`).Scan(&waiting))
		return waiting > 1
	})

	for _, path := range []string{"/v1/events", "/v1/deliveries", "/v1/subscriptions", "/v1/events"} {
		a := other.Do("GET", path, other.Owner, nil)
		require.Equal(t, http.StatusOK, a.Status, "%s: %s", path, a.Body)
	}
	var stillLocked bool
	require.NoError(t, lock.QueryRowContext(t.Context(), "SELECT true").Scan(&stillLocked))

	require.NoError(t, lock.Rollback())
	for range questions {
		require.NoError(t, <-done)
	}
}
