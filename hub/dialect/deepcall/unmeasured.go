package deepcall

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hookline/hookline/hub/event"
)

// The document's own samples for axios and Python send an empty Content-Length, and the one
// for libcurl sends no Content-Length at all, so that nothing says where their body ends.
// But the body is a JSON object, whose end can be seen. It is read from the connection, and
// the connection is closed behind the answer, so that nothing on it can be taken for a
// second request.

const (
	// unmeasuredTime is the longest that such a body may take.
	unmeasuredTime = 10 * time.Second
	// firstByteTime is how long to wait for its first byte when the request has no
	// Content-Length: it may have no body either.
	firstByteTime = time.Second
	// lingerTime is how long the caller has to close the connection after the answer.
	lingerTime = 500 * time.Millisecond
)

// unmeasured reports whether nothing says how long the body of r is. (net/http lets
// an empty Content-Length through because go.mod sets httplaxcontentlength; the hub
// closes connections that sent one.)
func unmeasured(r *http.Request) bool {
	length, there := r.Header["Content-Length"]
	return r.ProtoMajor == 1 && len(r.TransferEncoding) == 0 && (!there || length[0] == "")
}

// serveUnmeasured lets serve answer r with the object that follows it.
func serveUnmeasured(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) {
	_, announced := r.Header["Content-Length"]
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		serve(w, r) // answers that the body is missing
		return
	}
	defer conn.Close()

	r.Body = io.NopCloser(bytes.NewReader(readUnmeasured(conn, rw, announced)))
	out := &bufferedAnswer{header: w.Header(), status: http.StatusOK}
	serve(out, r)

	out.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = conn.SetDeadline(time.Now().Add(unmeasuredTime))
	answer := http.Response{
		StatusCode: out.status, ProtoMajor: 1, ProtoMinor: 1, Header: out.header, Close: true,
		ContentLength: int64(out.body.Len()), Body: io.NopCloser(&out.body), Request: r,
	}
	to := bufio.NewWriter(conn)
	if answer.Write(to) != nil || to.Flush() != nil {
		return // the caller went away
	}

	// Read what is left: a connection that is closed with something unread is reset, and
	// the caller may lose the answer.
	if half, is := conn.(interface{ CloseWrite() error }); is && half.CloseWrite() == nil {
		_ = conn.SetDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, rw, maxBody)
	}
}

// readUnmeasured returns the JSON value that follows the head of a request; nil when there
// is no value, or it is too large or too slow. announced says that the request has a
// Content-Length, although an empty one.
func readUnmeasured(conn net.Conn, rw *bufio.ReadWriter, announced bool) []byte {
	if !announced {
		_ = conn.SetDeadline(time.Now().Add(firstByteTime))
		if _, err := rw.Peek(1); err != nil {
			return nil
		}
	}

	_ = conn.SetDeadline(time.Now().Add(unmeasuredTime))
	if first, err := rw.Peek(1); err == nil && first[0] == event.Mark[0] {
		if mark, err := rw.Peek(len(event.Mark)); err == nil && string(mark) == event.Mark {
			_, _ = rw.Discard(len(event.Mark)) // Peek has shown that they are there
		}
	}
	var body json.RawMessage
	if json.NewDecoder(io.LimitReader(rw, maxBody)).Decode(&body) != nil {
		return nil
	}
	return body
}

// bufferedAnswer is an answer that is written later.
type bufferedAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *bufferedAnswer) Header() http.Header         { return a.header }
func (a *bufferedAnswer) WriteHeader(status int)      { a.status = status }
func (a *bufferedAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }
