package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// A hub that takes inputs of a source is killed with -9 at random moments. Every input is sent
// until it is answered 2xx, and becomes exactly one event. HOOKLINE_SOURCE_KILLS says how many
// times it is killed, while a hundred times as many inputs are sent; `make sources` does it 200
// times.
func TestSourceWhileKilled(t *testing.T) {
	binary := build(t)
	t.Run("sqlite", func(t *testing.T) { sourceWhileKilled(t, prepare(t, binary)) })
	t.Run("postgres", func(t *testing.T) {
		sourceWhileKilled(t, prepare(t, binary, "HOOKLINE_DATABASE_URL="+hubtest.Postgres(t),
			"HOOKLINE_MASTER_KEY="+strings.Repeat("5a", 32)))
	})
}

func sourceWhileKilled(t *testing.T, p *process) {
	kills := 2
	if s := os.Getenv("HOOKLINE_SOURCE_KILLS"); s != "" {
		var err error
		kills, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	inputs := int64(100 * kills)
	p.start()
	p.ready()
	p.open()
	made := p.ask("POST", "/v1/sources", p.owner, `{"name":"pbx","kind":"custom","settings":{"dedupe":"query:d"},"mapping":
		{"decode":"json","match":[{"emit":"call.created","set":{"callID":"m.call"}}]}}`)
	require.Equal(t, http.StatusCreated, made.status, "%s", made.body)
	id, url := gjson.GetBytes(made.body, "id").Str, gjson.GetBytes(made.body, "url").Str
	path := url[strings.Index(url, "/v1/in/"):]

	// Platforms that send again until they are heard.
	var next, answered, again atomic.Int64
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for n := next.Add(1); n <= inputs; n = next.Add(1) {
				for {
					a, err := p.tryFor(10*time.Second, "POST", fmt.Sprintf("%s?d=%d", path, n), "", fmt.Sprintf(`{"call":"c-%d"}`, n))
					if err == nil && a.status < 300 {
						break
					}
					again.Add(1)
					time.Sleep(5 * time.Millisecond)
				}
				answered.Add(1)
			}
		})
	}
	for n := range kills {
		due := inputs * int64(n) / int64(kills)
		require.Eventually(t, func() bool { return answered.Load() >= due }, 2*time.Minute, time.Millisecond)
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		p.kill()
		p.start()
		p.ready()
	}
	senders.Wait()

	// Each became one event.
	hubtest.Eventually(t, "mapped", func() bool {
		state := p.ask("GET", "/v1/sources/"+id+"/state", p.owner, "")
		return gjson.GetBytes(state.body, "inputs.mapped").Int() == inputs
	})
	calls := map[string]int{}
	for cursor := ""; ; {
		page := p.ask("GET", "/v1/events?limit=500&type=call.created"+cursor, p.owner, "")
		require.Equal(t, http.StatusOK, page.status, "%s", page.body)
		for _, e := range gjson.GetBytes(page.body, "data").Array() {
			calls[e.Get("orderKey").Str]++
		}
		more := gjson.GetBytes(page.body, "nextCursor").Str
		if more == "" {
			break
		}
		cursor = "&cursor=" + more
	}
	require.Len(t, calls, int(inputs))
	for call, n := range calls {
		require.Equal(t, 1, n, call)
	}
	t.Logf("killed %d times; %d inputs, sent again %d times", kills, inputs, again.Load())
}
