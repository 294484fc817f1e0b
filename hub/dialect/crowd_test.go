package dialect_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/dialect"
)

func TestCrowd(t *testing.T) {
	var c dialect.Crowd
	first, ok := c.Enter(1, 2)
	require.True(t, ok)
	_, ok = c.Enter(1, 2)
	require.True(t, ok)
	_, ok = c.Enter(1, 2)
	require.False(t, ok)
	_, ok = c.Enter(2, 2)
	require.True(t, ok, "another tenant's")
	first()
	again, ok := c.Enter(1, 2)
	require.True(t, ok)
	_, ok = c.Enter(1, 2)
	require.False(t, ok)
	again()
}
