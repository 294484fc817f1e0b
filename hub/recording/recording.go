// Package recording keeps recordings of calls: MP3 files that were uploaded, or that stand
// at an https address and are fetched when somebody first asks for them. Bytes go to a blob
// store, and the row of the recording points to its blob. Memory never has a whole file.
//
//	Put ──▶ a new blob ──▶ the row points to it ──▶ the blob before is deleted
//
// A blob to which no row points is loose: a crash or a failed upload left it. Blobs are
// noted before they are written, and loose ones are swept later.
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
	MaxSize = 256 << 20 // bytes of one recording
	MaxURL  = 2048      // bytes of a source's URL

	// Places in this process, for all tenants and for one. Uploads, fetches and plays have
	// places of their own, so that none of them can stop the others.
	uploadsTotal, uploadsEach = 16, 4
	fetchesTotal, fetchesEach = 16, 4
	playsTotal, playsEach     = 256, 32 // recordings being sent
	firstsTotal, firstsEach   = 256, 32 // requests that wait for a fetch

	waitingEach = 16               // requests of a tenant that wait for a place of one kind
	patience    = 10 * time.Second // how long they wait
	fetchTime   = 2 * time.Minute
	sweepAge    = time.Hour // loose blobs are swept at this age, which is longer than any transfer takes
	sweepMost   = 100       // blobs at a time
)

// The slowest that a client may send or take one recording. Players read ahead and then rest.
var (
	uploadPace = fair.Pace{Stall: 10 * time.Second, Rate: 16 << 10, Whole: 15 * time.Minute}
	playPace   = fair.Pace{Stall: time.Minute, Rate: 1 << 10, Whole: 15 * time.Minute}
)

// Errors of the library, beside those of fair.
var (
	ErrNotFound = errors.New("there is no such recording")                                                     // 404
	ErrTooLarge = errors.New("a recording is at most 256 MiB")                                                 // 413
	ErrEmpty    = errors.New("the recording is empty")                                                         // 422
	ErrURL      = errors.New("must be an https URL")                                                           // 422; with the reason
	ErrRead     = errors.New("the recording was not sent to its end")                                          // 400
	ErrSource   = errors.New("the source of the recording")                                                    // 502; with what it does
	ErrQuota    = errors.New("the tenant's recordings take as many bytes as they may (limits.recordingBytes)") // 429
	ErrBusy     = errors.New("the recording was changed meanwhile")                                            // 503
)

// Recording is what the row of a recording says.
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

// ETag returns the tag of the bytes; "" before they were fetched.
func (r *Recording) ETag() string {
	if r.Blob == "" {
		return ""
	}
	return `"` + hex.EncodeToString(r.Hash[:16]) + `"`
}

// Filter picks recordings of a tenant. Zero values pick all.
type Filter struct {
	Tenant   int64
	From, To int64 // Unix ms of making: From <= t < To
	BeforeAt int64 // with BeforeID: only those after this one in the order of the list
	BeforeID string
	Limit    int
}

// Store keeps the rows. Each change that somebody makes is also a row of the audit log.
type Store interface {
	// FindRecording reads a row; ErrNotFound.
	FindRecording(ctx context.Context, tenant int64, id string) (*Recording, error)
	// FindRecordings lists recordings, the newest first, and those of one time by
	// their id, backwards.
	FindRecordings(ctx context.Context, f Filter) ([]Recording, error)
	// NoteBlob commits that there may be a loose blob.
	NoteBlob(ctx context.Context, blob string) error
	// PutRecording commits r in place of the recording with its tenant and id, and that
	// r.Blob belongs to it. It sets the times, and returns the blob that was there
	// before, which is loose from now on; "" if there was no blob. ErrQuota if all
	// recordings of the tenant would then take more than most bytes; 0: no limit.
	PutRecording(ctx context.Context, by access.Caller, r *Recording, most int64) (before string, err error)
	// FetchedRecording commits the blob, size and hash of r. If somebody put or fetched
	// another one since r was read, it returns false, and r.Blob stays loose. ErrQuota as
	// PutRecording.
	FetchedRecording(ctx context.Context, r *Recording, most int64) (bool, error)
	// RecordingBytes returns how many bytes the recordings of a tenant take.
	RecordingBytes(ctx context.Context, tenant int64) (int64, error)
	// DeleteRecording deletes a recording and returns its blob, which is loose from now
	// on. ErrNotFound.
	DeleteRecording(ctx context.Context, by access.Caller, tenant int64, id string) (blob string, err error)
	// LooseBlobs lists at most limit blobs that were loose before at.
	LooseBlobs(ctx context.Context, at time.Time, limit int) ([]string, error)
	// ForgetBlobs commits that loose blobs have been deleted.
	ForgetBlobs(ctx context.Context, blobs []string) error
}

// Config of a library.
type Config struct {
	Store  Store
	Bucket *blob.Bucket
	// Fetch returns the transport for a tenant's sources. It refuses what the tenant may
	// not reach, and decodes the content codings of answers.
	Fetch func(tenant int64) http.RoundTripper
	// CheckURL says what is wrong with the URL of a source.
	CheckURL func(tenant int64, u *url.URL) error
	MaxBytes int64 // of one recording; default MaxSize
	// Limit returns how many bytes all recordings of a tenant may take; 0, or no Limit: any
	// number. Near, if there is one, is called with what they take after a change.
	Limit func(tenant int64) int64
	Near  func(tenant, bytes, limit int64)
	Log   *slog.Logger // default slog.Default()
}

// Library is where recordings are put and found. Make it with New.
type Library struct {
	Config
	uploads, fetches, plays, firsts fair.Slots[int64]

	mu       sync.Mutex
	fetching map[string]*fetching
}

// New returns a library.
func New(c Config) *Library {
	c.Log, c.MaxBytes = cmp.Or(c.Log, slog.Default()), cmp.Or(c.MaxBytes, MaxSize)
	return &Library{
		Config: c, fetching: map[string]*fetching{},
		uploads: places("uploads", uploadsTotal, uploadsEach), fetches: places("recordings being fetched", fetchesTotal,
			fetchesEach),
		plays: places("recordings being sent", playsTotal, playsEach), firsts: places("recordings waited for", firstsTotal,
			firstsEach),
	}
}

// places returns the places of one kind.
func places(what string, total, each int) fair.Slots[int64] {
	return fair.Slots[int64]{What: what, Total: total, Each: each, Waiting: waitingEach, Patience: patience}
}

// Put stores body as the recording with an id, in place of an earlier one. ctx is that of
// the request whose body it is. ErrTooLarge, ErrEmpty, ErrRead, *fair.Full.
func (l *Library) Put(ctx context.Context, by access.Caller, id string, body io.Reader) (*Recording, error) {
	place, err := l.uploads.Take(ctx, by.Tenant, 0)
	if err != nil {
		return nil, err
	}
	defer place.Free()
	fair.Of(ctx).Pace(uploadPace, fair.Pace{})

	// A recording that takes the place of another may use that one's bytes, too.
	old, err := l.Store.FindRecording(ctx, by.Tenant, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	var free int64
	if old != nil {
		free = old.Size
	}
	room, err := l.room(ctx, by.Tenant, free)
	if err != nil {
		return nil, err
	}

	r := &Recording{Tenant: by.Tenant, ID: id}
	if err := l.write(ctx, r, body, room); err != nil {
		return nil, err
	}
	return r, l.put(ctx, by, r)
}

// limit returns how many bytes the recordings of a tenant may take; 0: any number.
func (l *Library) limit(tenant int64) int64 {
	if l.Limit == nil {
		return 0
	}
	return l.Limit(tenant)
}

// room returns how many bytes one more recording of a tenant may have, when free bytes of
// those there are will go. ErrQuota if it may have no byte.
func (l *Library) room(ctx context.Context, tenant, free int64) (int64, error) {
	limit := l.limit(tenant)
	if limit == 0 {
		return l.MaxBytes, nil
	}
	bytes, err := l.Store.RecordingBytes(ctx, tenant)
	if err != nil {
		return 0, err
	}
	if left := limit - bytes + free; left > 0 {
		return min(left, l.MaxBytes), nil
	}
	return 0, ErrQuota
}

// grown tells how many bytes the recordings of a tenant take, after a change.
func (l *Library) grown(ctx context.Context, tenant int64) {
	limit := l.limit(tenant)
	if limit == 0 || l.Near == nil {
		return
	}
	bytes, err := l.Store.RecordingBytes(ctx, tenant)
	if err != nil {
		l.Log.Warn("bytes of recordings", "err", err)
		return
	}
	l.Near(tenant, bytes, limit)
}

// Register notes the source of the recording with an id, in place of an earlier one. The
// source is fetched when somebody first asks for it. ErrURL.
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
	before, err := l.Store.PutRecording(ctx, by, r, l.limit(by.Tenant))
	if errors.Is(err, ErrQuota) {
		l.drop(r.Blob)
	}
	if err == nil {
		l.drop(before)
		l.grown(ctx, by.Tenant)
	}
	return err
}

// Delete deletes the recording with an id; ErrNotFound.
func (l *Library) Delete(ctx context.Context, by access.Caller, id string) error {
	loose, err := l.Store.DeleteRecording(ctx, by, by.Tenant, id)
	if err == nil {
		l.drop(loose)
	}
	return err
}

// write writes body to a new blob, and the blob's key, size and hash to r. It reads at most
// room bytes: ErrTooLarge, or ErrQuota if the tenant has no more room.
func (l *Library) write(ctx context.Context, r *Recording, body io.Reader, room int64) error {
	// The key does not contain the recording's id, which may be a person's number.
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

	hash, in := sha256.New(), &input{r: io.LimitReader(body, room+1)}
	n, err := io.Copy(io.MultiWriter(w, hash), in)

	switch {
	case in.err != nil:
		err = fmt.Errorf("%w: %w", ErrRead, in.err)
	case err != nil:
		err = fmt.Errorf("write blob %s: %w", key, err)
	case n > room && room < l.MaxBytes:
		err = ErrQuota
	case n > room:
		err = ErrTooLarge
	case n == 0:
		err = ErrEmpty
	}
	if err != nil {
		cancel()      // so that Close discards what was written
		_ = w.Close() // its error says that it was cancelled
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

// input remembers the error of its reader, to tell it from one of the blob store.
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

// drop deletes a loose blob now. If that fails, Sweep does it later.
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

// Sweep deletes the blobs that have been loose since before at.
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
