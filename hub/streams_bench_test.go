package hub_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// BenchmarkStreams opens 2,000 streams of S10, of 40 pages of a board of 1,000 agents,
// while 200 events a second change agents, for streamsFor. It reports the CPU time of
// hub, clients and load together, per second; the memory of both ends of a stream; the
// messages a second; and how long it takes from the moment before an event is posted to
// its change in a message, over all streams of one page.
//
//	go test ./hub -run xxx -bench Streams -benchtime 1x
func BenchmarkStreams(b *testing.B) {
	for _, store := range []string{"sqlite", "postgres"} {
		for _, delay := range []int{1000, 0} {
			b.Run(fmt.Sprintf("%s/delay=%d", store, delay), func(b *testing.B) {
				var h *hubtest.Hub
				if store == "postgres" {
					h = hubtest.Start(b, hubtest.OnPostgres(b))
				} else {
					h = hubtest.Start(b)
				}
				centre(b, h)
				for range b.N {
					benchStreams(b, h, delay)
				}
			})
		}
	}
}

const (
	streamsFor    = 10 * time.Second
	streamsOpen   = 2000
	streamsPages  = 40
	streamsEvents = 200 // a second
)

func benchStreams(b *testing.B, h *hubtest.Hub, delay int) {
	limits := map[string]any{"sseStreams": streamsOpen, "eventsPerSecond": 100_000}
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, map[string]any{"limits": limits})
	require.Equal(b, http.StatusOK, a.Status, "%s", a.Body)
	ctx, hangUp := context.WithCancel(b.Context())
	defer hangUp()
	var ended, greeted sync.WaitGroup
	var messages atomic.Int64
	var mu sync.Mutex
	var waits []time.Duration

	// Open the streams. Each one counts its messages; those of the first page also note
	// how late the changes in them come.
	before := memory()
	greeted.Add(streamsOpen)
	for i := range streamsOpen {
		page := i % streamsPages
		url := fmt.Sprintf("%s/callservice/v6/webmsg/monitoring/_watch/agents-metrics?product=scc&pageSize=25&pageNum=%d&delay=%d",
			h.URL, page+1, delay)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		require.NoError(b, err)
		req.Header.Set("Authorization", h.Owner)
		req.Header.Set("Idempotency-Key", uuid.NewString())
		ended.Go(func() {
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Errorf("stream: %v %v", resp, err)
				greeted.Done()
				return
			}
			defer resp.Body.Close()
			lines := bufio.NewReaderSize(resp.Body, 16<<10)
			for n := 0; ; n++ {
				line, err := readLine(lines)
				if err != nil {
					return
				}
				if n == 0 {
					greeted.Done()
					continue
				}
				messages.Add(1)
				if page > 0 {
					continue
				}
				now := time.Now()
				mu.Lock()
				for _, at := range changedAt.FindAllSubmatch(line, -1) {
					ms, _ := strconv.ParseInt(string(at[1]), 10, 64)
					waits = append(waits, now.Sub(time.UnixMilli(ms)))
				}
				mu.Unlock()
			}
		})
	}
	greeted.Wait()
	each := (memory() - before) / streamsOpen
	time.Sleep(2 * time.Second) // until all have the same page
	messages.Store(0)
	mu.Lock()
	waits = waits[:0]
	mu.Unlock()

	// Change agents at an even rate.
	began, cpu := time.Now(), processTime(b)
	tick, sent := time.NewTicker(time.Second/streamsEvents), 0
	var posts sync.WaitGroup
	slots := make(chan struct{}, 32)
	for n := 0; time.Since(began) < streamsFor; n++ {
		sent++
		<-tick.C
		slots <- struct{}{}
		posts.Go(func() {
			defer func() { <-slots }()
			h.Send(statusOf(n*7%1000, time.Now().UnixMilli(), []int{4, 5, 6, 7, 8, 1}[n/1000%6]))
		})
	}
	posts.Wait()
	tick.Stop()
	took := time.Since(began)
	cpu = processTime(b) - cpu
	hangUp()
	ended.Wait()

	require.NotEmpty(b, waits)
	slices.Sort(waits)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(sent)/took.Seconds(), "events/s")
	b.ReportMetric(cpu.Seconds()/took.Seconds(), "cpu-s/s")
	b.ReportMetric(float64(each)/1024, "KiB/stream")
	b.ReportMetric(float64(messages.Load())/took.Seconds(), "messages/s")
	b.ReportMetric(float64(waits[len(waits)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Milliseconds()), "p99-ms")
}

var changedAt = regexp.MustCompile(`"agentsMetrics/list/lastWorkStatusChangedTime","value":(\d+)`)

// readLine returns the next line of data.
func readLine(r *bufio.Reader) ([]byte, error) {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if len(line) > 6 && string(line[:6]) == "data: " {
			return line, nil
		}
	}
}

// memory returns the memory in use after a garbage collection.
func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
