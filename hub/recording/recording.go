// Package recording keeps recordings of calls: MP3 files that were uploaded, or
// that stand at an https address and are fetched when first asked for. Bytes go
// to a blob store, which the row of the recording points into; nothing is ever
// held in memory as a whole.
//
//	Put ──▶ a new blob ──▶ the row points to it ──▶ the blob before is deleted
//
// A blob without a row, left by a crash or a failed upload, is noted before it
// is written and swept later.
package recording

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/fair"
)

// Bounds of recordings.
const (
	MaxSize = 256 << 20 // bytes of one
	MaxURL  = 2048      // bytes of a source's URL

	// In this process, of all tenants and of one. Uploads, fetches and those who hear
	// something have places apart: none of them can stop the others.
	uploadsTotal, uploadsEach = 16, 4
	fetchesTotal, fetchesEach = 16, 4
	playsTotal, playsEach     = 256, 32 // being sent
	firstsTotal, firstsEach   = 256, 32 // who wait for a fetch

	waitingEach = 16               // of a tenant, for a place of one kind
	patience    = 10 * time.Second // for which they wait
	fetchTime   = 2 * time.Minute
	sweepAge    = time.Hour // of a loose blob; longer than any transfer takes
	sweepMost   = 100       // blobs at a time
)

// Paces of one recording. Players read ahead and then rest.
var (
	uploadPace = fair.Pace{Stall: 10 * time.Second, Rate: 16 << 10, Whole: 15 * time.Minute}
	playPace   = fair.Pace{Stall: time.Minute, Rate: 1 << 10, Whole: 15 * time.Minute}
)

// Errors of the library, beside those of fair.
var (
	ErrNotFound = errors.New("there is no such recording")            // 404
	ErrTooLarge = errors.New("a recording is at most 256 MiB")        // 413
	ErrEmpty    = errors.New("the recording is empty")                // 422
	ErrURL      = errors.New("must be an https URL")                  // 422; with the reason
	ErrRead     = errors.New("the recording was not sent to its end") // 400
	ErrSource   = errors.New("the source of the recording")           // 502; with what it does
	ErrBusy     = errors.New("the recording was changed meanwhile")   // 503
)

// Recording is what its row says.
type Recording struct {
	Tenant    int64
	ID        string
	Source    string // https URL; "": it was uploaded
	Blob      string // its key in the blob store; "": not fetched yet
	Size      int64  // bytes
	Hash      [sha256.Size]byte
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ETag of the bytes; "" before they were fetched.
func (r *Recording) ETag() string {
	if r.Blob == "" {
		return ""
	}
	return `"` + hex.EncodeToString(r.Hash[:16]) + `"`
}

// Store keeps the rows. Changes by somebody are rows of the audit log, too.
type Store interface {
	// FindRecording reads a row; ErrNotFound.
	FindRecording(ctx context.Context, tenant int64, id string) (*Recording, error)
	// NoteBlob commits that a blob without a recording may come to be.
	NoteBlob(ctx context.Context, blob string) error
	// PutRecording commits r in place of the one with its tenant and id, and that
	// r.Blob is its own. It sets the times, and returns the blob that was there
	// before, which is loose from now on; "": none.
	PutRecording(ctx context.Context, by access.Caller, r *Recording) (before string, err error)
	// FetchedRecording commits the blob, size and hash of r, unless another one
	// was put or fetched meanwhile: then false, and r.Blob stays loose.
	FetchedRecording(ctx context.Context, r *Recording) (bool, error)
	// DeleteRecording commits that it is gone, and returns its blob, which is
	// loose from now on. ErrNotFound.
	DeleteRecording(ctx context.Context, by access.Caller, tenant int64, id string) (blob string, err error)
	// LooseBlobs lists at most limit blobs that were loose before at.
	LooseBlobs(ctx context.Context, at time.Time, limit int) ([]string, error)
	// ForgetBlobs commits that loose blobs are no more.
	ForgetBlobs(ctx context.Context, blobs []string) error
}

// Config of a library.
type Config struct {
	Store  Store
	Bucket *blob.Bucket
	// Fetch gives a tenant's way to the outside, which refuses what the tenant may
	// not reach, and takes content codings off the answers.
	Fetch func(tenant int64) http.RoundTripper
	// CheckURL says what is wrong with a source, as far as its URL tells.
	CheckURL func(tenant int64, u *url.URL) error
	MaxBytes int64        // of one recording; default MaxSize
	Log      *slog.Logger // default slog.Default()
}

// Library is where recordings are put and found. Make it with New.
type Library struct {
	Config
	uploads, fetches, plays, firsts fair.Slots[int64]

	mu       sync.Mutex
	fetching map[string]*fetching
}

// New makes a library.
func New(c Config) *Library {
	c.Log, c.MaxBytes = cmp.Or(c.Log, slog.Default()), cmp.Or(c.MaxBytes, MaxSize)
	return &Library{
		Config: c, fetching: map[string]*fetching{},
		uploads: places("uploads", uploadsTotal, uploadsEach), fetches: places("recordings being fetched", fetchesTotal, fetchesEach),
		plays: places("recordings being sent", playsTotal, playsEach), firsts: places("recordings waited for", firstsTotal, firstsEach),
	}
}

func places(what string, total, each int) fair.Slots[int64] {
	return fair.Slots[int64]{What: what, Total: total, Each: each, Waiting: waitingEach, Patience: patience}
}

// Put stores what body holds as the recording of that id, in place of an earlier
// one. ctx is that of the request whose body it is. ErrTooLarge, ErrEmpty, ErrRead,
// *fair.Full.
func (l *Library) Put(ctx context.Context, by access.Caller, id string, body io.Reader) (*Recording, error) {
	place, err := l.uploads.Take(ctx, by.Tenant, 0)
	if err != nil {
		return nil, err
	}
	defer place.Free()
	fair.Of(ctx).Pace(uploadPace, fair.Pace{})
	r := &Recording{Tenant: by.Tenant, ID: id}
	if err := l.write(ctx, r, body); err != nil {
		return nil, err
	}
	return r, l.put(ctx, by, r)
}

// Register notes where the recording of that id stands, in place of an earlier
// one. It is fetched when first asked for. ErrURL.
func (l *Library) Register(ctx context.Context, by access.Caller, id, source string) (*Recording, error) {
	if err := l.checkSource(by.Tenant, source); err != nil {
		return nil, err
	}
	r := &Recording{Tenant: by.Tenant, ID: id, Source: source}
	return r, l.put(ctx, by, r)
}

// checkSource says what is wrong with a source.
func (l *Library) checkSource(tenant int64, source string) error {
	u, err := url.Parse(source)
	switch {
	case len(source) > MaxURL:
		return fmt.Errorf("%w of at most %d bytes", ErrURL, MaxURL)
	case err != nil || u.Scheme != "https" || u.Host == "":
		return ErrURL
	case u.User != nil:
		return fmt.Errorf("%w without user and password", ErrURL)
	}
	if err := l.CheckURL(tenant, u); err != nil {
		return fmt.Errorf("%w that may be reached: %w", ErrURL, err)
	}
	return nil
}

func (l *Library) put(ctx context.Context, by access.Caller, r *Recording) error {
	before, err := l.Store.PutRecording(ctx, by, r)
	if err == nil {
		l.drop(before)
	}
	return err
}

// Delete the recording of that id; ErrNotFound.
func (l *Library) Delete(ctx context.Context, by access.Caller, id string) error {
	loose, err := l.Store.DeleteRecording(ctx, by, by.Tenant, id)
	if err == nil {
		l.drop(loose)
	}
	return err
}

// write makes a new blob of body and says in r what it is.
func (l *Library) write(ctx context.Context, r *Recording, body io.Reader) error {
	// The name says nothing of the recording: ids may be numbers of people.
	key := fmt.Sprintf("recordings/%d/%s.mp3", r.Tenant, rand.Text())
	if err := l.Store.NoteBlob(ctx, key); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := l.Bucket.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "audio/mpeg"})
	if err != nil {
		return fmt.Errorf("write blob %s: %w", key, err)
	}
	hash, in := sha256.New(), &input{r: io.LimitReader(body, l.MaxBytes+1)}
	n, err := io.Copy(io.MultiWriter(w, hash), in)
	switch {
	case in.err != nil:
		err = fmt.Errorf("%w: %w", ErrRead, in.err)
	case err != nil:
		err = fmt.Errorf("write blob %s: %w", key, err)
	case n > l.MaxBytes:
		err = ErrTooLarge
	case n == 0:
		err = ErrEmpty
	}
	if err != nil {
		cancel()      // has Close drop what was written
		_ = w.Close() // says that it was cancelled
		l.drop(key)
		return err
	}
	if err := w.Close(); err != nil {
		l.drop(key)
		return fmt.Errorf("write blob %s: %w", key, err)
	}
	r.Blob, r.Size = key, n
	hash.Sum(r.Hash[:0])
	return nil
}

// input tells what its reader did wrong from what the blob store did.
type input struct {
	r   io.Reader
	err error
}

func (in *input) Read(p []byte) (int, error) {
	n, err := in.r.Read(p)
	if err != nil && err != io.EOF {
		in.err = err
	}
	return n, err
}

// drop deletes a loose blob now; should that fail, Sweep does it later.
func (l *Library) drop(key string) {
	if key == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.sweep(ctx, []string{key}); err != nil {
		l.Log.Warn("delete the bytes of a recording; trying again later", "blob", key, "err", err)
	}
}

// Run sweeps every 10 minutes until ctx ends.
func (l *Library) Run(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := l.Sweep(ctx, time.Now().Add(-sweepAge)); err != nil && ctx.Err() == nil {
			l.Log.Error("sweep recordings", "err", err)
		}
	}
}

// Sweep deletes the blobs that were loose before at.
func (l *Library) Sweep(ctx context.Context, at time.Time) error {
	for {
		keys, err := l.Store.LooseBlobs(ctx, at, sweepMost)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := l.sweep(ctx, keys); err != nil {
			return err
		}
	}
}

func (l *Library) sweep(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := l.Bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Errorf("delete blob %s: %w", key, err)
		}
	}
	return l.Store.ForgetBlobs(ctx, keys)
}
