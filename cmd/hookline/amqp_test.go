package main

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest/rabbittest"
	"github.com/hookline/hookline/hub/rabbit"
)

var redelivered = regexp.MustCompile(`hookline_amqp_messages_total\{result="redelivered"\} (\d+)`)

// A hub is killed again and again while a broker feeds it: what it had not
// acknowledged comes again, and all is stored once, in order.
func TestKilledWhileFed(t *testing.T) {
	t.Parallel()
	url := rabbittest.VHost(t)
	var kills faults
	p := newProcess(t, build(t))
	w := newWatch(t, &kills)
	subscribe(t, p, w)
	require.Zero(t, p.end(patience), "%s", p.log)

	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	require.NoError(t, err)
	require.NoError(t, ch.Confirm(false))
	p.env = append(p.env, "HOOKLINE_AMQP_URL="+url)
	p.start() // it declares the queue
	p.ready()
	consumed := func() bool {
		ch, err := conn.Channel()
		require.NoError(t, err)
		defer ch.Close()
		_, err = ch.QueueDeclarePassive(rabbit.IngestQueue, true, false, false, false, nil)
		return err == nil
	}
	require.Eventually(t, consumed, patience, 10*time.Millisecond)
	require.Zero(t, p.end(patience), "%s", p.log)

	const messages, rounds, calls = 3000, 2, 40
	accepted := map[string]sent{}
	var last *amqp.DeferredConfirmation
	for i := range messages {
		call, n := fmt.Sprint("k", i%calls), i/calls+1
		id := fmt.Sprintf("%s-%d", call, n)
		accepted[id] = sent{tries: 1}
		last, err = ch.PublishWithDeferredConfirm(rabbit.EventsExchange, "demo.call.ringing", true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: id, Body: fmt.Appendf(nil,
				`{"callID":%q,"partyID":"p1","thisDN":"1001","n":%d}`, call, n),
		})
		require.NoError(t, err)
	}
	require.True(t, last.Wait())
	p.start()
	again := 0
	for range rounds {
		from := w.count()
		require.Eventually(t, func() bool { return w.count() > from+10 }, patience, time.Millisecond)
		p.kill()
		w.quiet(t)
		kills.moment()
		p.start()
		p.ready()
		var n int
		require.Eventually(t, func() bool {
			m := redelivered.FindSubmatch(p.ask("GET", "/metrics", "", "").body)
			require.NotNil(t, m)
			n, err = strconv.Atoi(string(m[1]))
			return err == nil && n > 0
		}, patience, time.Millisecond, "nothing was unacknowledged: this shows nothing")
		again += n
	}
	drained(t, p, accepted, []*watch{w})
	require.Zero(t, p.end(patience), "%s", p.log)
	recountFolder(t, p, messages)
	t.Logf("killed %d times; %d messages, at least %d of them redelivered: %v", rounds, messages, again,
		w.check(t, accepted, crashInFlight))
}
