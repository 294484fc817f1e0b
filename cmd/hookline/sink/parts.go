package sink

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
)

type connection struct{}

// ConnContext is for http.Server.ConnContext. InTwoParts needs it to find the
// connection of a request.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connection{}, c)
}

// InTwoParts answers with head and body apart, as Python's http.server, WEBrick
// and many frameworks do. The system holds the body back until the other side
// has acknowledged the head: a sender whose system waits with that, as systems
// do, loses 40 ms for each answer.
func InTwoParts(w http.ResponseWriter, r *http.Request, status int, body string) {
	if c, ok := r.Context().Value(connection{}).(*net.TCPConn); ok {
		_ = c.SetNoDelay(false) // Go's own habit is not to hold anything back
	}
	w.Header()["Content-Type"] = contentType
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_ = http.NewResponseController(w).Flush() // if it fails, so does the next line
	_, _ = io.WriteString(w, body)            // the hub went away: it will try again
}
