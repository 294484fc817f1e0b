package recording_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/recording"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

var owner = access.Caller{Tenant: 1, KeyID: "owner", Role: access.Owner}

const most = 100_000 // bytes of a recording in these tests

type archive struct {
	*recording.Library
	t      *testing.T
	db     *storage.DB
	bucket *blob.Bucket
	source string // URL of the source
}

// newArchive is a library on a real store and folder, with a source that answers
// by answer.
func newArchive(t *testing.T, answer http.HandlerFunc) *archive {
	key, _ := signing.NewMasterKey()
	box, err := signing.NewBox(key)
	require.NoError(t, err)
	db, err := storage.Open(t.Context(), storage.Config{Dir: t.TempDir(), Process: "test", Box: box})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	bucket, err := fileblob.OpenBucket(t.TempDir(),
		&fileblob.Options{Metadata: fileblob.MetadataDontWrite, NoTempDir: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bucket.Close()) })
	srv := httptest.NewTLSServer(answer)
	t.Cleanup(srv.Close)
	return &archive{
		t: t, db: db, bucket: bucket, source: srv.URL + "/r.mp3?secret=geheim",
		Library: recording.New(recording.Config{
			Store: db, Bucket: bucket, MaxBytes: most,
			Fetch:    func(int64) http.RoundTripper { return srv.Client().Transport },
			CheckURL: func(int64, *url.URL) error { return nil },
		}),
	}
}

// blobs that there are.
func (a *archive) blobs() (keys []string) {
	a.t.Helper()
	for list := a.bucket.List(nil); ; {
		o, err := list.Next(a.t.Context())
		if errors.Is(err, io.EOF) {
			return keys
		}
		require.NoError(a.t, err)
		keys = append(keys, o.Key)
	}
}

func (a *archive) hear(id string) (string, error) {
	a.t.Helper()
	r, err := a.Find(a.t.Context(), 1, id)
	if err != nil {
		return "", err
	}
	w := httptest.NewRecorder()
	require.NoError(a.t, a.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), r))
	return w.Body.String(), nil
}

func (a *archive) register(id string) {
	a.t.Helper()
	_, err := a.Register(a.t.Context(), owner, id, a.source)
	require.NoError(a.t, err)
}

// What is registered is fetched once, however many ask, and kept.
func TestSourceIsFetchedOnce(t *testing.T) {
	var asked atomic.Int32
	release := make(chan struct{})
	a := newArchive(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-release
		_, _ = io.WriteString(w, "sound")
	})
	a.register("r")
	require.Zero(t, asked.Load(), "not before somebody wants it")

	// The first who asks leaves; the fetch goes on for the others.
	left, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := a.Find(left, 1, "r")
		gone <- err
	}()
	for asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			got, err := a.hear("r")
			if err != nil || got != "sound" {
				t.Errorf("%q %v", got, err)
			}
		})
	}
	close(release)
	all.Wait()
	got, err := a.hear("r")
	require.NoError(t, err)
	require.Equal(t, "sound", got)
	require.EqualValues(t, 1, asked.Load())
	require.Len(t, a.blobs(), 1)

	// Registered once more, it is fetched once more, and the old bytes are deleted.
	a.register("r")
	_, err = a.hear("r")
	require.NoError(t, err)
	require.EqualValues(t, 2, asked.Load())
	require.Len(t, a.blobs(), 1)
	require.NoError(t, a.Delete(t.Context(), owner, "r"))
	require.Empty(t, a.blobs())
}

func TestSourcesThatMisbehave(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		reason string
	}{
		"not found": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "status 404"},
		"redirect": {
			func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "status 302",
		},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<p>please log in")
		}, "text/html"},
		"an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{}")
		}, "application/json"},
		"empty": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "audio/mpeg") }, "empty"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, most+1))
		}, "at most"},
		"without an end": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 10_000)); err != nil {
					return
				}
			}
		}, "at most"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "half of it")
		}, "breaks off"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, tt.answer)
			a.register("r")
			_, err := a.hear("r")
			require.ErrorIs(t, err, recording.ErrSource)
			require.ErrorContains(t, err, tt.reason)
			require.NotContains(t, err.Error(), "geheim")
			require.Empty(t, a.blobs())
			loose, err := a.db.LooseBlobs(t.Context(), time.Now().Add(time.Hour), 10)
			require.NoError(t, err)
			require.Empty(t, loose)
		})
	}

	a := newArchive(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, most)) })
	a.register("r")
	got, err := a.hear("r")
	require.NoError(t, err)
	require.Len(t, got, most, "as large as may be")
}

// plainly takes a tenant's real way out, but to a source without TLS.
type plainly struct{ http.RoundTripper }

func (p plainly) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return p.RoundTripper.RoundTrip(r)
}

// A recording is stored as it sounds, whatever content coding its source sends
// it in, and no larger than may be; its query is sent encoded.
func TestSourceInAContentCoding(t *testing.T) {
	sound := bytes.Repeat([]byte("sound"), 10_000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI != "/r.mp3?name=M%C3%BCller" || r.Header.Get("Accept-Encoding") != "identity" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "audio/mpeg")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(sound)
		_ = z.Close()
	}))
	defer srv.Close()
	sender := &delivery.Sender{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	defer sender.CloseIdle()
	a := newArchive(t, nil)
	a.Fetch = func(tenant int64) http.RoundTripper { return plainly{sender.Transport(tenant)} }
	a.source = strings.Replace(srv.URL, "http:", "https:", 1) + "/r.mp3?name=Müller"
	a.register("r")
	got, err := a.hear("r")
	require.NoError(t, err)
	require.Equal(t, string(sound), got)

	sound = bytes.Repeat([]byte("sound"), 1<<20) // a few KB as they come
	a.register("r")
	_, err = a.hear("r")
	require.ErrorIs(t, err, recording.ErrSource)
	require.ErrorContains(t, err, "at most")
	require.Empty(t, a.blobs())
}

// A Range with an unknown unit is ignored. The unit is known in capitals, too.
func TestServeIgnoresUnknownRangeUnits(t *testing.T) {
	a := newArchive(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sound") })
	a.register("r")
	r, err := a.Find(t.Context(), 1, "r")
	require.NoError(t, err)
	for value, want := range map[string]struct {
		status int
		body   string
	}{
		"bytes=1-2":   {http.StatusPartialContent, "ou"},
		"Bytes=1-2":   {http.StatusPartialContent, "ou"},
		"seconds=1-2": {http.StatusOK, "sound"},
		"items=0-":    {http.StatusOK, "sound"},
		"nonsense":    {http.StatusOK, "sound"},
		"bytes=9-":    {http.StatusRequestedRangeNotSatisfiable, ""},
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Range", value)
		w := httptest.NewRecorder()
		require.NoError(t, a.Serve(w, req, r))
		require.Equal(t, want.status, w.Code, value)
		if want.body != "" {
			require.Equal(t, want.body, w.Body.String(), value)
		}
		require.Equal(t, value, req.Header.Get("Range"), "a request is its owner's")
	}
}

// What is put while the source is being fetched is what counts.
func TestPutDuringFetch(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	a := newArchive(t, func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-release
		_, _ = io.WriteString(w, "fetched")
	})
	a.register("r")
	heard := make(chan string, 1)
	go func() {
		got, err := a.hear("r")
		if err != nil {
			got = err.Error()
		}
		heard <- got
	}()
	<-began
	_, err := a.Put(t.Context(), owner, "r", strings.NewReader("put"))
	require.NoError(t, err)
	close(release)
	require.Equal(t, "put", <-heard)
	got, err := a.hear("r")
	require.NoError(t, err)
	require.Equal(t, "put", got)
	require.Len(t, a.blobs(), 1)
}

func TestPutRefuses(t *testing.T) {
	a := newArchive(t, nil)
	broken := errors.New("connection reset")
	for name, tt := range map[string]struct {
		body io.Reader
		err  error
	}{
		"empty":     {strings.NewReader(""), recording.ErrEmpty},
		"too large": {bytes.NewReader(make([]byte, most+1)), recording.ErrTooLarge},
		"broken":    {io.MultiReader(strings.NewReader("half"), failing{broken}), recording.ErrRead},
	} {
		_, err := a.Put(t.Context(), owner, "r", tt.body)
		require.ErrorIs(t, err, tt.err, name)
		require.Empty(t, a.blobs(), name)
		_, err = a.Find(t.Context(), 1, "r")
		require.ErrorIs(t, err, recording.ErrNotFound)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A blob that a dead process left behind goes when it is old enough; one of a
// recording stays.
func TestSweep(t *testing.T) {
	a := newArchive(t, nil)
	kept, err := a.Put(t.Context(), owner, "kept", strings.NewReader("sound"))
	require.NoError(t, err)
	const left = "recordings/1/left.mp3"
	require.NoError(t, a.db.NoteBlob(t.Context(), left))
	require.NoError(t, a.bucket.WriteAll(t.Context(), left, []byte("half"), nil))
	require.NoError(t, a.db.NoteBlob(t.Context(), "recordings/1/never-written.mp3"))

	require.NoError(t, a.Sweep(t.Context(), time.Now().Add(-time.Hour)))
	require.ElementsMatch(t, []string{left, kept.Blob}, a.blobs(), "too young to be given up")
	require.NoError(t, a.Sweep(t.Context(), time.Now().Add(time.Hour)))
	require.Equal(t, []string{kept.Blob}, a.blobs())
	loose, err := a.db.LooseBlobs(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Empty(t, loose)
}

// Bytes that are gone are an error before anything is answered.
func TestServeWithoutBytes(t *testing.T) {
	a := newArchive(t, nil)
	r, err := a.Put(t.Context(), owner, "r", strings.NewReader("sound"))
	require.NoError(t, err)
	require.NoError(t, a.bucket.Delete(t.Context(), r.Blob))
	w := httptest.NewRecorder()
	require.Error(t, a.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), r))
	require.Empty(t, w.Header())
	require.Empty(t, w.Body.Bytes())
}
