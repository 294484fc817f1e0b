package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"gocloud.dev/blob"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
)

// Find returns a recording of a tenant with its bytes. If they stand elsewhere, it fetches
// them first. ErrNotFound, ErrSource, ErrBusy, *fair.Full.
func (l *Library) Find(ctx context.Context, tenant int64, id string) (*Recording, error) {
	id, ok := event.Identity(id)
	if !ok {
		return nil, ErrNotFound
	}
	r, err := l.Store.FindRecording(ctx, tenant, id)
	if err != nil || r.Blob != "" {
		return r, err
	}
	return l.fetchOnce(ctx, r)
}

// Serve answers a GET or HEAD with the bytes of r: Range, If-None-Match and the like as RFC
// 9110 says. After an error, which may be a *fair.Full, nothing has been answered yet.
func (l *Library) Serve(w http.ResponseWriter, req *http.Request, r *Recording) error {
	place, err := l.plays.Take(req.Context(), r.Tenant, 0)
	if err != nil {
		return err
	}
	defer place.Free()
	fair.Of(req.Context()).Pace(fair.Pace{}, playPace)

	c := &content{ctx: req.Context(), bucket: l.Bucket, key: r.Blob, size: r.Size}
	defer c.Close()
	req = inBytes(req)

	if req.Method != http.MethodHead && req.Header.Get("Range") == "" && req.Header.Get("If-None-Match") == "" {
		// The whole recording is asked for. Open the blob now: if it is missing, the status
		// can still say so.
		if err := c.open(); err != nil {
			return fmt.Errorf("read recording %s: %w", r.ID, err)
		}
	}

	h := w.Header()
	h.Set("Content-Type", "audio/mpeg")
	h.Set("X-Content-Type-Options", "nosniff") // whatever was uploaded, it is not a page
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", r.ETag())
	http.ServeContent(w, req, "", r.UpdatedAt, c)
	return nil
}

// inBytes returns the request without a Range in an unknown unit, so that the answer is the
// whole recording, as RFC 9110 14.2 demands. http.ServeContent would refuse such a Range,
// and knows the unit bytes in small letters only.
func inBytes(req *http.Request) *http.Request {
	value := req.Header.Get("Range")
	unit, ranges, _ := strings.Cut(value, "=")
	if value == "" || unit == "bytes" {
		return req
	}

	req = req.Clone(req.Context())
	if strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		req.Header.Set("Range", "bytes="+ranges)
	} else {
		req.Header.Del("Range")
	}
	return req
}

// content makes a blob readable for http.ServeContent. It opens the blob where the next read
// begins, so that a range costs the blob store one request and no more bytes.
type content struct {
	ctx    context.Context
	bucket *blob.Bucket
	key    string
	size   int64
	at     int64 // where the next read begins
	r      *blob.Reader
	from   int64 // the place of r in the blob
}

// open opens the blob at c.at, unless it is open there.
func (c *content) open() (err error) {
	if c.r != nil && c.from == c.at {
		return nil
	}
	c.Close()
	if c.r, err = c.bucket.NewRangeReader(c.ctx, c.key, c.at, -1, nil); err != nil {
		c.r = nil
	}
	c.from = c.at
	return err
}

func (c *content) Read(p []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	if err := c.open(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.at += int64(n)
	c.from = c.at
	return n, err
}

// Seek sets where the next read begins. It reads nothing, as ServeContent seeks to the end
// only to learn the size.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}

	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	c.at = offset
	return offset, nil
}

func (c *content) Close() {
	if c.r != nil {
		_ = c.r.Close() // an error loses nothing: the blob was only read
		c.r = nil
	}
}
