package hub_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/recording"
)

// filesIn a folder and below, by their paths.
func filesIn(t *testing.T, dir string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	return files
}

func TestRecordingLife(t *testing.T) {
	blobs := t.TempDir()
	h := hubtest.Start(t, func(c *config.Config) {
		c.BlobURL = "file://" + blobs
		c.PublicURL = "https://hooks.example.com/base/"
	})
	other := otherTenant(t, h)
	query := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"query"}`).JSON(t)["key"].(string)
	const path = "/v1/recordings/6bf3cbb1:1"
	sound := bytes.Repeat([]byte("0123456789"), 1000)
	mp3 := []string{"Content-Type", "audio/mpeg"}

	require.Equal(t, 404, h.Do("GET", path, h.Owner, nil).Status)
	made := h.Do("PUT", path, h.Owner, sound, mp3...)
	require.Equal(t, 200, made.Status, "%s", made.Body)
	v := made.JSON(t)
	require.Equal(t, "https://hooks.example.com/base/callservice/v6/cc-audios/recordings/6bf3cbb1:1", v["recordUrl"])
	require.EqualValues(t, len(sound), v["size"])
	require.Equal(t, "upload", v["source"])

	for _, key := range []string{h.Owner, query} {
		got := h.Do("GET", path, key, nil)
		require.Equal(t, 200, got.Status)
		require.Equal(t, sound, got.Body)
		require.Equal(t, "audio/mpeg", got.Header.Get("Content-Type"))
		require.Equal(t, "bytes", got.Header.Get("Accept-Ranges"))
		require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
	}
	head := h.Do("HEAD", path, query, nil)
	require.Equal(t, 200, head.Status)
	require.Empty(t, head.Body)
	require.Equal(t, "10000", head.Header.Get("Content-Length"))
	etag := head.Header.Get("ETag")
	require.Regexp(t, `^"[0-9a-f]{32}"$`, etag)

	part := func(ranges string, header ...string) hubtest.Answer {
		return h.Do("GET", path, query, nil, append(header, "Range", ranges)...)
	}
	for ranges, want := range map[string]string{
		"bytes=0-4": "01234", "bytes=5-9": "56789", "bytes=-3": "789", "bytes=9998-": "89", "bytes=9998-20000": "89",
	} {
		got := part(ranges)
		require.Equal(t, http.StatusPartialContent, got.Status, ranges)
		require.Equal(t, want, string(got.Body), ranges)
	}
	require.Equal(t, "bytes 0-4/10000", part("bytes=0-4").Header.Get("Content-Range"))
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, part("bytes=10000-").Status)
	require.Equal(t, http.StatusOK, part("lines=1-2").Status, "an unknown unit is ignored")
	two := part("bytes=0-1,20-22")
	require.Equal(t, http.StatusPartialContent, two.Status)
	require.Contains(t, two.Header.Get("Content-Type"), "multipart/byteranges")
	require.Contains(t, string(two.Body), "\r\n\r\n012\r\n")
	require.Equal(t, http.StatusNotModified, h.Do("GET", path, query, nil, "If-None-Match", etag).Status)
	require.Equal(t, http.StatusOK, h.Do("GET", path, query, nil, "If-None-Match", `"another"`).Status)
	require.Equal(t, http.StatusPartialContent, part("bytes=0-0", "If-Range", etag).Status)
	require.Equal(t, http.StatusOK, part("bytes=0-0", "If-Range", `"another"`).Status)

	// The other tenant does not see it, and may have one of the same name.
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		require.Equal(t, 404, h.Do(method, path, other, nil).Status, method)
	}
	require.Equal(t, 200, h.Do("PUT", path, other, "theirs", mp3...).Status)
	require.Equal(t, sound, h.Do("GET", path, h.Owner, nil).Body)
	require.Equal(t, "theirs", string(h.Do("GET", path, other, nil).Body))

	// After it was replaced it has other bytes and another ETag, and the first is gone.
	require.Equal(t, 200, h.Do("PUT", path, h.Owner, "second", mp3...).Status)
	h.Restart()
	got := h.Do("GET", path, h.Owner, nil)
	require.Equal(t, "second", string(got.Body))
	require.NotEqual(t, etag, got.Header.Get("ETag"))
	require.Len(t, filesIn(t, blobs), 2)

	require.Equal(t, 403, h.Do("DELETE", path, query, nil).Status)
	require.Equal(t, 204, h.Do("DELETE", path, h.Owner, nil).Status)
	require.Equal(t, 404, h.Do("DELETE", path, h.Owner, nil).Status)
	require.Equal(t, 404, h.Do("GET", path, h.Owner, nil).Status)
	require.Len(t, filesIn(t, blobs), 1)

	further, deeds := 0, map[string]int{}
	rows := h.Do("GET", "/v1/audit?limit=500&object=recording/6bf3cbb1:1", h.Owner, nil)
	for _, row := range rows.JSON(t)["data"].([]any) {
		row := row.(map[string]any)
		deeds[row["action"].(string)]++
		if after, ok := row["after"].(map[string]any); ok && after["further"] != nil {
			further += int(after["further"].(float64))
		}
	}
	require.Equal(t, 2, deeds["recording.put"])
	require.Equal(t, 1, deeds["recording.delete"])
	require.Greater(t, further, 7, "looks within the minute of the first one")
	require.Less(t, deeds["recording.view"], 10, "they are one row for each key")
}

func TestRecordingBadInput(t *testing.T) {
	blobs := t.TempDir()
	h := hubtest.Start(t, func(c *config.Config) { c.BlobURL, c.AllowNetworks = "file://"+blobs, nil })
	for _, tt := range []struct {
		id, media, body string
		status          int
		field           string
	}{
		{"a%09b", "audio/mpeg", "x", 422, "id"},
		{"a%00b", "audio/mpeg", "x", 400, ""},
		{strings.Repeat("x", 257), "audio/mpeg", "x", 422, "id"},
		{"r", "audio/mpeg", "", 422, ""},
		{"r", "text/html", "<p>", 415, ""},
		{"r", "audio/;;", "x", 415, ""},
		{"r", "application/json", ``, 400, ""},
		{"r", "application/json", `{}`, 422, "sourceUrl"},
		{"r", "application/json", `{"url":"https://x.example/"}`, 422, "url"},
		{"r", "application/json", `{"sourceUrl":1}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"http://x.example/a.mp3"}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"file:///etc/passwd"}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"https://"}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"https://me:secret@x.example/"}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"https://127.0.0.1/a.mp3"}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"https://169.254.169.254/a.mp3"}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"https://x.example:22/a.mp3"}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"https://0x7f000001/"}`, 422, "sourceUrl"},
		{"r", "application/json", `{"sourceUrl":"https://x.example/` + strings.Repeat("x", 2048) + `"}`, 422, "sourceUrl"},
	} {
		a := h.Do("PUT", "/v1/recordings/"+tt.id, h.Owner, tt.body, "Content-Type", tt.media)
		refused(t, tt.status, a)
		if tt.field != "" {
			require.Equal(t, tt.field, a.JSON(t)["errors"].([]any)[0].(map[string]any)["field"], "%.200s", tt.body)
		}
		require.NotContains(t, string(a.Body), "secret")
	}
	require.Equal(t, 404, h.Do("GET", "/v1/recordings/r", h.Owner, nil).Status)
	require.Equal(t, 404, h.Do("GET", "/v1/recordings/..", h.Owner, nil).Status)

	// A body that is announced as too large is refused before a byte of it came.
	req, err := http.NewRequestWithContext(t.Context(), "PUT", h.URL+"/v1/recordings/r", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+h.Owner)
	req.Body, req.ContentLength = io.NopCloser(&forever{}), recording.MaxSize+1
	req.Header.Set("Expect", "100-continue")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 413, resp.StatusCode)

	// Of an upload that breaks off nothing is kept.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.URL, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "PUT /v1/recordings/r HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+h.Owner+
		"\r\nContent-Length: 100000\r\n\r\nhalf of it")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "not sent to its end")
	require.Equal(t, 404, h.Do("GET", "/v1/recordings/r", h.Owner, nil).Status)
	require.Empty(t, filesIn(t, blobs))
}

// forever is a body without an end.
type forever struct{}

func (*forever) Read(p []byte) (int, error) { return len(p), nil }

// Every dial to a source goes through the network guard, whatever was allowed when the
// recording was registered.
func TestRecordingSourceIsGuarded(t *testing.T) {
	asked := make(chan string, 10)
	source := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
	}))
	source.Config.ErrorLog = log.New(io.Discard, "", 0) // it would log that its certificate is refused
	source.StartTLS()
	defer source.Close()
	h := hubtest.Start(t)
	a := h.Do("PUT", "/v1/recordings/r", h.Owner, `{"sourceUrl":"`+source.URL+`/r.mp3?token=geheim"}`)
	require.Equal(t, 200, a.Status, "%s", a.Body)
	require.Nil(t, a.JSON(t)["size"])
	require.Equal(t, "url", a.JSON(t)["source"])

	// Its certificate is not signed by an authority, so it is refused.
	a = h.Do("GET", "/v1/recordings/r", h.Owner, nil)
	refused(t, 502, a)
	require.Contains(t, string(a.Body), "certificate")
	require.NotContains(t, string(a.Body), "geheim")

	h.Stop()
	closed := hubtest.Start(t, h.SameStore(), func(c *config.Config) { c.AllowNetworks = nil })
	a = closed.Do("GET", "/v1/recordings/r", h.Owner, nil)
	refused(t, 502, a)
	require.Contains(t, string(a.Body), "not public")
	require.Empty(t, asked)
	require.NotContains(t, string(closed.Do("GET", "/v1/audit?limit=500", h.Owner, nil).Body), "geheim")
}

func TestBlobURLIsChecked(t *testing.T) {
	for _, bad := range []string{
		"recordings", "http://x", "file://host/dir", "file:relative", "file:///dir?create_dir=1", "s3://", ":",
	} {
		cfg := config.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", ShutdownTimeout: 1, BlobURL: bad}
		_, err := hub.New(context.Background(), cfg, nil)
		require.ErrorContains(t, err, "HOOKLINE_BLOB_URL", bad)
	}
}
