package ingest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/problem"
)

// Bounds of one request. A request past them is refused as a whole, never cut.
const (
	MaxRequest = 8 << 20 // bytes, as sent and after decompression
	MaxEvents  = 1000
)

// The bytes that are charged to a request when it begins: firstChunk, or up to firstMost
// if it declares its length. A declared length alone reserves little.
const (
	firstChunk = 4 << 10
	firstMost  = 64 << 10
	keepBuffer = 1 << 20 // larger buffers are not kept for the next request
)

// request is the memory that one request needs. A later request uses it again.
type request struct {
	body    []byte // after decompression
	charged int64  // bytes charged to the budget
	items   []event.Item
	out     []byte
	gz      *gzip.Reader
}

var requests = sync.Pool{New: func() any { return new(request) }}

func (q *request) free() {
	if cap(q.body) > keepBuffer {
		q.body = nil
	}
	if cap(q.out) > keepBuffer {
		q.out = nil
	}

	clear(q.items) // the events belong to the store now
	q.body, q.items, q.out = q.body[:0], q.items[:0], q.out[:0]
	q.charged = 0
	requests.Put(q)
}

// format of a request body.
type format uint8

const (
	asJSON format = iota
	asLines
)

// formatOf reads the content type. Parameters do not matter, and a missing type means
// JSON. Platforms that cannot set headers send what their client sends by default (curl
// -d says that it is a form), so these types mean JSON, too: the body decides.
func formatOf(contentType string) (format, bool) {
	name, _, _ := strings.Cut(contentType, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "", "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded",
		"application/octet-stream":
		return asJSON, true
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl", "application/jsonlines",
		"application/x-jsonlines":
		return asLines, true
	}
	return asJSON, strings.HasPrefix(name, "application/") && strings.HasSuffix(name, "+json")
}

// codingOf returns the content coding that a value names: "gzip", another one, which is
// not read here, or "" when it names no coding. Senders put other words there, such as the
// character set.
func codingOf(value string) string {
	codings := event.Codings(value)
	switch {
	case len(codings) == 0:
		return ""
	case len(codings) == 1 && (codings[0] == "gzip" || codings[0] == "x-gzip"):
		return "gzip"
	}
	return strings.Join(codings, ", ")
}

// source is the body as it comes from the wire. It stops past MaxRequest. It remembers its
// own error, which tells a broken connection from broken gzip.
type source struct {
	r   io.Reader
	n   int
	err error
}

var (
	errTooLarge = errors.New("request too large")
	errFull     = errors.New("too many bytes in flight")
)

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}

	n, err := s.r.Read(p)
	s.n += n
	if s.n > MaxRequest {
		err = errTooLarge
	}
	s.err = err
	return n, err
}

// read reads the body of r into q, decompressed.
func (h *Handler) read(q *request, r *http.Request, tenant int64) *problem.Details {
	size := int64(firstChunk)
	src := &source{r: r.Body}
	if r.ContentLength > MaxRequest {
		return explain(errTooLarge, src)
	}

	var from io.Reader = src
	switch coding := codingOf(r.Header.Get("Content-Encoding")); coding {
	case "":
		if r.ContentLength > 0 {
			size = min(r.ContentLength+1, firstMost) // one more, so that the end is seen without growing
		}
	case "gzip":
		gz, err := q.unzip(src)
		if err != nil {
			return explain(err, src)
		}
		from = gz
	default:
		return problem.New(http.StatusUnsupportedMediaType, "Content-Encoding must be gzip, identity or absent")
	}

	// The buffer doubles while bytes come. Each growth is charged before it is made.
	for {
		if int64(len(q.body)) == q.charged {
			if !h.grow(q, tenant, size) {
				return explain(errFull, src)
			}
			size = q.charged // double from now on
		}

		n, err := from.Read(q.body[len(q.body):q.charged])
		q.body = q.body[:len(q.body)+n]
		switch {
		case len(q.body) > MaxRequest:
			return explain(errTooLarge, src)
		case err == io.EOF:
			return nil
		case err != nil:
			return explain(err, src)
		}
	}
}

// ReadBody reads the body of a request as Serve does: within MaxRequest, decompressed, its
// bytes charged to the tenant. The body is good until free is called, which the caller must do
// also if it is refused.
func ReadBody(
	r *http.Request, tenant int64, bodies *fair.Budget[int64],
) (body []byte, free func(), refused *problem.Details) {
	q := requests.Get().(*request)
	free = func() {
		if bodies != nil {
			bodies.Give(tenant, q.charged)
		}
		q.free()
	}
	h := &Handler{Bodies: bodies}
	refused = h.read(q, r, tenant)
	return q.body, free, refused
}

// grow charges n more bytes to the tenant, and makes room for them. It returns false if
// the tenant has no more bytes left.
func (h *Handler) grow(q *request, tenant, n int64) bool {
	n = min(n, MaxRequest+1-q.charged)
	if h.Bodies != nil && !h.Bodies.Take(tenant, n) {
		return false
	}
	q.charged += n
	if int64(cap(q.body)) < q.charged {
		q.body = append(make([]byte, 0, q.charged), q.body...)
	}
	return true
}

// unzip returns a reader of gzip. It is made once for q and used again.
func (q *request) unzip(src io.Reader) (*gzip.Reader, error) {
	var err error
	if q.gz == nil {
		q.gz, err = gzip.NewReader(src) // nil with an error
		return q.gz, err
	}
	return q.gz, q.gz.Reset(src)
}

// explain says why a body could not be read.
func explain(err error, src *source) *problem.Details {
	if src.err != nil && src.err != io.EOF { //nolint:errorlint // io.Reader returns it bare
		err = src.err
	}
	switch {
	case errors.Is(err, errTooLarge):
		return problem.New(http.StatusRequestEntityTooLarge,
			"a request has at most "+strconv.Itoa(MaxRequest)+" bytes, before and after decompression")
	case errors.Is(err, errFull):
		return busy()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.New(http.StatusRequestTimeout, "the body did not come in time")
	case src.err == nil || src.err == io.EOF: //nolint:errorlint // as above
		return problem.New(http.StatusBadRequest, "the body is not gzip, or it ends too early")
	}
	return problem.New(http.StatusBadRequest, "the body could not be read to its end")
}

// split splits the body into items, each as the gate reads it. It returns a problem when
// the body as a whole is refused.
func (q *request) split(g event.Gate, t event.Type, f format) *problem.Details {
	var p *event.Problem
	body := event.TrimMark(q.body)
	if f == asLines {
		p = q.lines(g, t, body)
	} else if len(bytes.TrimSpace(body)) > 0 {
		q.items, p = g.Read(q.items, t, body, MaxEvents)
	}

	switch {
	case p != nil:
		return problem.New(p.Status, p.Message)
	case len(q.items) == 0:
		return problem.New(http.StatusBadRequest, "no events")
	}
	return nil
}

// lines reads one event from each line, and skips empty lines.
func (q *request) lines(g event.Gate, t event.Type, body []byte) *event.Problem {
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if len(q.items) == MaxEvents {
			return &event.Problem{
				Message: "more than " + strconv.Itoa(MaxEvents) + " events", Status: http.StatusRequestEntityTooLarge,
			}
		}
		q.items = append(q.items, g.Line(t, line))
	}
	return nil
}
