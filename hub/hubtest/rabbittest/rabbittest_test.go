package rabbittest

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
)

// Each test has a virtual host of its own.
func TestVHost(t *testing.T) {
	channel := func() *amqp.Channel {
		conn, err := amqp.Dial(VHost(t))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		ch, err := conn.Channel()
		require.NoError(t, err)
		return ch
	}
	one, other := channel(), channel()
	_, err := one.QueueDeclare("q", false, false, true, false, nil)
	require.NoError(t, err)
	_, err = other.QueueDeclarePassive("q", false, false, true, false, nil)
	require.ErrorContains(t, err, "NOT_FOUND")
}
