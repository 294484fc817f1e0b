package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

const anAttempt = `{"at":"2026-01-02T03:04:05.678Z","delivery":"d1","subscription":"s1","event":"e1","type":"cdr.call","orderKey":"cdr/c\u001b1","sequence":7,"run":0,"n":2,"status":503,"error":"status","ms":12.34,"state":"pending","dueAt":"2026-01-02T03:04:10.678Z"}`

// streaming serves one stream after the other and then ends the command.
func streaming(t *testing.T, streams ...string) (url string, ctx context.Context, asked *[]string) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	asked = new([]string)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
		if len(*asked) > len(streams) {
			end()
			return
		}
		_, _ = io.WriteString(w, streams[len(*asked)-1])
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(end)
	return srv.URL, ctx, asked
}

// A stream that breaks off, or is ended by the hub, is opened again.
func TestTailCommand(t *testing.T) {
	url, ctx, asked := streaming(t,
		": hello\n\nevent: attempt\ndata: "+anAttempt+"\n\n:\n\nevent: dropped\ndata: {\"reason\":\"too slow\"}\n\n",
		"event: attempt\ndata: "+anAttempt+"\n\nevent: attempt\ndata: {\"half")
	var out, errs buffer
	code := run(ctx, []string{"tail", "--url", url, "--key", "hk_acme_s", "--type", "cdr.*", "--subscription", "s1"},
		streams{nil, &out, &errs})
	require.Zero(t, code, errs.String())
	require.Equal(t, "GET /v1/tail?subscription=s1&type=cdr.%2A Bearer hk_acme_s", (*asked)[0])
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC).Local().Format("15:04:05.000")
	require.Equal(t,
		at+" cdr.call         seq=7 try=2 -> 503 pending 12.3ms next=2026-01-02T03:04:10.678Z d1 sub=s1 key=cdr/c 1",
		lines[0])
	require.Contains(t, errs.String(), "the stream was ended: too slow")
	require.Contains(t, errs.String(), errStreamEnd.Error())
}

func TestTailRefused(t *testing.T) {
	url, _ := api(t, `403{"title":"Forbidden","detail":"a key of role ingest may not do this"}`)
	code, _, errs := do(t, "", "tail", "--url", url, "--key", "hk_acme_s")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "403 Forbidden: a key of role ingest")
}

// Against a real hub, as JSON.
func TestTailOfAHub(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t)
	h.Subscribe(rec.URL)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var out, errs buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"tail", "--json", "--url", h.URL, "--key", h.Owner}, streams{nil, &out, &errs})
	}()
	n := 0
	hubtest.Eventually(t, "an attempt is printed", func() bool {
		n++
		h.Send(hubtest.CDR("c", n)) // until it listens
		return strings.HasSuffix(out.String(), "\n")
	})
	end()
	require.Zero(t, <-code, errs.String())
	line, _, _ := strings.Cut(out.String(), "\n")
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(line), &v))
	require.Equal(t, "delivered", v["state"])
}

func FuzzEachEvent(f *testing.F) {
	f.Add("event: attempt\ndata: {}\n\n:\n\n")
	f.Add("data\n\n\r\n:")
	f.Fuzz(func(t *testing.T, s string) {
		err := eachEvent(strings.NewReader(s), func(_, data string) error {
			require.NotEmpty(t, data)
			_ = tailLine(data)
			return nil
		})
		require.True(t, errors.Is(err, errStreamEnd))
	})
}
