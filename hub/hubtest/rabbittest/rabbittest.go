// Package rabbittest gives tests a real RabbitMQ: a private node, and in it a
// virtual host for each test.
package rabbittest

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest/rabbitserver"
)

// Variable is the environment variable with a node for tests, as rabbitserve prints
// it. make test starts one for all packages. Without it, a test binary starts its own.
const Variable = "HUBTEST_RABBITMQ"

// VHost makes an empty virtual host for the test and returns its URL. It is deleted at
// the end of the test.
func VHost(t testing.TB) string {
	t.Helper()
	s := Shared(t)
	name := fmt.Sprintf("t%d-%d", os.Getpid(), vhosts.Add(1))
	require.NoError(t, s.Manage("PUT", "/api/vhosts/"+name, ""))
	t.Cleanup(func() {
		if err := s.Manage("DELETE", "/api/vhosts/"+name, ""); err != nil {
			t.Errorf("delete test vhost: %v", err)
		}
	})
	return s.URL + name
}

// Shared returns the node that VHost uses, for tests that do not disturb other tests.
func Shared(t testing.TB) *rabbitserver.Server {
	t.Helper()
	leaveOutIfShort(t)
	shared.once.Do(func() {
		if at := os.Getenv(Variable); at != "" {
			shared.server, shared.err = rabbitserver.Parse(at)
			return
		}
		shared.server, shared.err = rabbitserver.Start("")
	})
	require.NoError(t, shared.err, "RabbitMQ for tests")
	return shared.server
}

// Start makes a node of the test's own and starts it. It ends with the test,
// which may stop and start it as it likes.
func Start(t testing.TB) *rabbitserver.Server {
	t.Helper()
	leaveOutIfShort(t)
	s, err := rabbitserver.Start("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// leaveOutIfShort skips the test under -short, which asks for those that run
// without a server. make test, which runs all, counts a skipped test as failed.
func leaveOutIfShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs RabbitMQ")
	}
}

var (
	vhosts atomic.Int64
	shared struct {
		once   sync.Once
		server *rabbitserver.Server
		err    error
	}
)
