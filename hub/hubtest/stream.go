package hubtest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Event is one server-sent event. A comment has only Data.
type Event struct{ Name, Data, ID string }

// Stream is an answer with server-sent events.
type Stream struct {
	Answer // it has a Body only if the hub refused
	events chan Event
	Close  context.CancelFunc // hangs up
}

// Stream makes a GET request with a key. Headers come in pairs. The stream is closed at
// the end of the test.
func (h *Hub) Stream(path, key string, headers ...string) *Stream {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+path, nil)
	require.NoError(h.t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}

	resp, err := http.DefaultClient.Do(req)
	require.NoError(h.t, err)
	s := &Stream{
		Answer: Answer{Status: resp.StatusCode, Header: resp.Header},
		events: make(chan Event, 1000),
		Close:  cancel,
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		s.Body, err = io.ReadAll(resp.Body)
		require.NoError(h.t, err)
		return s
	}
	go s.read(resp.Body)
	return s
}

// read reads events until the stream ends.
func (s *Stream) read(body io.ReadCloser) {
	defer body.Close()
	defer close(s.events)
	var e Event
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		switch value = strings.TrimPrefix(value, " "); {
		case lines.Text() == "":
			s.events <- e
			e = Event{}
		case field == "event":
			e.Name = value
		case field == "id":
			e.ID = value
		default: // data, or a comment
			e.Data = value
		}
	}
}

// Next waits for the next event, at most a minute. It returns false if the stream has
// ended.
func (s *Stream) Next(t testing.TB) (Event, bool) {
	t.Helper()
	select {
	case e, ok := <-s.events:
		return e, ok
	case <-time.After(patience):
		require.FailNow(t, "the stream says nothing")
		return Event{}, false
	}
}

// Poll is Next with a shorter wait. It also returns false if no event came.
func (s *Stream) Poll(wait time.Duration) (Event, bool) {
	select {
	case e, ok := <-s.events:
		return e, ok
	case <-time.After(wait):
		return Event{}, false
	}
}
