package sink

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"sync"
	"time"
)

// Recorder writes one line of JSON per push, for checkers: id, type, seq, attempt,
// orderKey, late, replay, duplicate, inversion, atNs (arrival, Unix ns), status (0 if
// there was no answer). Lines are in the order in which answers were decided, and
// reach the writer at most 100 ms later.
type Recorder struct {
	mu    sync.Mutex
	w     *bufio.Writer
	line  []byte
	armed bool // a flush is planned
	err   error
}

// flushAfter is when a line is flushed, well within the 100 ms that are promised.
const flushAfter = 50 * time.Millisecond

// NewRecorder returns a Recorder that writes to w.
func NewRecorder(w io.Writer) *Recorder {
	return &Recorder{w: bufio.NewWriterSize(w, 256<<10)}
}

// Write notes one push. It is safe for several goroutines.
func (r *Recorder) Write(p *Push) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := append(r.line[:0], `{"id":`...)
	b = appendText(b, p.ID)
	b = appendText(append(b, `,"type":`...), p.Type)
	b = strconv.AppendInt(append(b, `,"seq":`...), p.Seq, 10)
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(p.Attempt), 10)
	b = appendText(append(b, `,"orderKey":`...), p.OrderKey)
	b = strconv.AppendBool(append(b, `,"late":`...), p.Late)
	b = strconv.AppendBool(append(b, `,"replay":`...), p.Replay)
	b = strconv.AppendBool(append(b, `,"duplicate":`...), p.Duplicate)
	b = strconv.AppendBool(append(b, `,"inversion":`...), p.Inversion)
	b = strconv.AppendInt(append(b, `,"atNs":`...), p.At.UnixNano(), 10)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(p.Status), 10)
	r.line = append(b, "}\n"...)

	if _, err := r.w.Write(r.line); err != nil && r.err == nil {
		r.err = err
	}
	if !r.armed {
		r.armed = true
		time.AfterFunc(flushAfter, func() { _ = r.Flush() }) // the error stays for the next Flush
	}
}

// Flush writes out what is buffered. It returns the first error that there ever was.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = false
	if err := r.w.Flush(); err != nil && r.err == nil {
		r.err = err
	}
	return r.err
}

// appendText appends s as JSON. What the hub sends needs no escapes; anything else is
// left to the library.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			q, _ := json.Marshal(s) // cannot fail for a string
			return append(b, q...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
