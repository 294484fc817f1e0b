package pgtest

import (
	"database/sql"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The server is real, survives a crash, and each test has a database of its own.
func TestServer(t *testing.T) {
	s := Start(t)
	t.Setenv(Variable, s.URL)
	a, err := sql.Open("postgres", Database(t))
	require.NoError(t, err)
	defer a.Close()
	_, err = a.ExecContext(t.Context(), "CREATE TABLE x (n int); INSERT INTO x VALUES (1)")
	require.NoError(t, err)
	b, err := sql.Open("postgres", Database(t))
	require.NoError(t, err)
	defer b.Close()
	_, err = b.ExecContext(t.Context(), "SELECT * FROM x")
	require.Error(t, err, "the other database has no such table")

	require.NoError(t, s.Signal(syscall.SIGQUIT))
	require.Error(t, a.PingContext(t.Context()))
	require.NoError(t, s.Start())
	var n int
	require.NoError(t, a.QueryRowContext(t.Context(), "SELECT n FROM x").Scan(&n))
	require.Equal(t, 1, n)
}
