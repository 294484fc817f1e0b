package deepcall

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// The document's own samples for axios and Python send an empty Content-Length,
// which says nothing about where the body ends. What is sent is a JSON object, and
// that ends by itself: it is read from the connection, and the connection closed
// behind the answer, so that nothing on it can be taken for a second request.

// unmeasuredTime is how long such a body may take to come.
const unmeasuredTime = 10 * time.Second

// unmeasured says whether r is such a request. (net/http lets it through because
// go.mod sets httplaxcontentlength; the hub closes connections that sent one.)
func unmeasured(r *http.Request) bool {
	length, there := r.Header["Content-Length"]
	return there && length[0] == "" && r.ProtoMajor == 1
}

// serveUnmeasured lets serve answer r with the object that follows it.
func serveUnmeasured(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		serve(w, r) // without a body, which it will say
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(unmeasuredTime))
	var body json.RawMessage
	if json.NewDecoder(io.LimitReader(rw, maxBody)).Decode(&body) != nil {
		body = nil // no JSON, too much of it, or too slow
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	out := &kept{header: w.Header(), status: http.StatusOK}
	serve(out, r)
	out.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = conn.SetDeadline(time.Now().Add(unmeasuredTime))
	answer := http.Response{
		StatusCode: out.status, ProtoMajor: 1, ProtoMinor: 1, Header: out.header, Close: true,
		ContentLength: int64(out.body.Len()), Body: io.NopCloser(&out.body), Request: r,
	}
	to := bufio.NewWriter(conn)
	if answer.Write(to) != nil || to.Flush() != nil {
		return // the caller went away: nobody is left to tell
	}
	// Closed with something unread, the connection would be reset, and the answer
	// lost on its way.
	if half, is := conn.(interface{ CloseWrite() error }); is && half.CloseWrite() == nil {
		_ = conn.SetDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, rw, maxBody)
	}
}

// lingerTime is how long the connection stays half open, for the caller to close it.
const lingerTime = 500 * time.Millisecond

// kept is an answer that is written later.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
