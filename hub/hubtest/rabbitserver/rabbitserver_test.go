package rabbitserver

import (
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
)

// The node is real, and keeps its durable queues through a crash.
func TestServer(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what needs RabbitMQ")
	}
	s, err := Start("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	conn := dial(t, s.URL)
	ch, err := conn.Channel()
	require.NoError(t, err)
	_, err = ch.QueueDeclare("q", true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
	require.NoError(t, err)

	gone := conn.NotifyClose(make(chan *amqp.Error, 1))
	require.NoError(t, s.Signal(syscall.SIGKILL))
	select {
	case why := <-gone:
		t.Log("the connection ended:", why)
	case <-time.After(20 * time.Second):
		require.Fail(t, "the connection outlives the node")
	}
	require.Error(t, syscall.Kill(s.pid, 0), "the node has ended")
	require.NoError(t, s.Start())
	ch, err = dial(t, s.URL).Channel()
	require.NoError(t, err)
	_, err = ch.QueueDeclarePassive("q", true, false, false, false, nil)
	require.NoError(t, err)
	require.NoError(t, s.Ctl("close_all_connections", "the test"))
	require.Error(t, s.Ctl("no_such_command"))
}

func dial(t *testing.T, url string) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // closed already
	return conn
}
