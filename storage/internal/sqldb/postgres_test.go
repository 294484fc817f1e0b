package sqldb

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

func TestPostgresURL(t *testing.T) {
	for bad, say := range map[string]string{
		"mysql://u:hush@h/d":             "postgres://",
		"postgres://u:hush@h":            "name a database",
		"postgres://u:hush@h:x/d":        "is not a URL",
		"postgres://u:hush@h/d?sslmode=": "",
	} {
		_, err := ParseURL(bad)
		if say == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, say)
		require.NotContains(t, err.Error(), "hush")
	}
	_, err := OpenPostgres("postgres://u:hush@h/d?sslmode=maybe", "", Settings{})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hush")

	cfg, err := pgConfig("postgres://u:hush@h/d?statement_timeout=7", "p-1",
		Settings{Name: "read", Statement: time.Minute, ReadOnly: true})
	require.NoError(t, err)
	require.Equal(t, pq.SSLModeRequire, cfg.SSLMode)
	require.Equal(t, "7", cfg.Runtime["statement_timeout"], "the operator's URL has the last word")
	require.Equal(t, "5000", cfg.Runtime["lock_timeout"])
	require.Equal(t, "on", cfg.Runtime["default_transaction_read_only"])
	require.Equal(t, "hookline read p-1", cfg.ApplicationName)
}

// A server that goes away without a word does not hold anybody for ever.
func TestConnectionsHaveDeadlines(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c) }() // it listens, and says nothing
		}
	}()
	c, err := Dialer{Wait: 50 * time.Millisecond}.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	require.True(t, Unavailable(err), "%v", err)
	require.False(t, Unavailable(context.DeadlineExceeded), "of somebody who went away")
}
