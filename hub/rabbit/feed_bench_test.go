package rabbit_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/rabbittest"
	"github.com/hookline/hookline/hub/rabbit"
)

// Messages of 1 kB from the quorum queue into the store, acknowledged, nobody
// subscribed: go test ./hub/rabbit -run none -bench Feed -benchtime 50000x
func BenchmarkFeed(b *testing.B) {
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		b.Run(name, func(b *testing.B) {
			store := func(*config.Config) {}
			if name == "PostgreSQL" {
				store = hubtest.OnPostgres(b)
			}
			url := rabbittest.VHost(b)
			h := hubtest.Start(b, store, byBroker(url))
			conn, err := amqp.Dial(url)
			require.NoError(b, err)
			b.Cleanup(func() { _ = conn.Close() }) // the benchmark has ended
			ch, err := conn.Channel()
			require.NoError(b, err)
			left := func() int {
				q, err := ch.QueueDeclarePassive(rabbit.IngestQueue, true, false, false, false, nil)
				if err != nil {
					ch, err = conn.Channel()
					require.NoError(b, err)
					return -1
				}
				return q.Messages
			}
			hubtest.Eventually(b, "the queue is there", func() bool { return left() == 0 })
			h.Stop()
			fill(b, conn, b.N)
			b.ResetTimer()
			h.Restart()
			done := fmt.Sprintf("hookline_amqp_messages_total{result=\"acknowledged\"} %d\n", b.N)
			for !strings.Contains(string(h.Do(http.MethodGet, "/metrics", "", nil).Body), done) {
				time.Sleep(5 * time.Millisecond)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// fill the queue with n messages.
func fill(b *testing.B, conn *amqp.Connection, n int) {
	ch, err := conn.Channel()
	require.NoError(b, err)
	require.NoError(b, ch.Confirm(false))
	var last *amqp.DeferredConfirmation
	sample := event.Sample(event.CDRParty)
	call := gjson.GetBytes(sample, "callID").String()
	for i := range n {
		last, err = ch.PublishWithDeferredConfirm(rabbit.EventsExchange, "demo.cdr.party", true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: fmt.Sprint("m", i),
			Body: bytes.Replace(sample, []byte(call), fmt.Appendf(nil, "%032d", i), 1), // each of a call of its own
		})
		require.NoError(b, err)
		if i%1000 == 999 {
			require.True(b, last.Wait())
		}
	}
	require.True(b, last.Wait())
}
