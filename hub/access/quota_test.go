package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

func TestQuota(t *testing.T) {
	var q access.Quota
	require.True(t, q.Take(1, 2))
	require.True(t, q.Take(1, 2))
	require.False(t, q.Take(1, 2))
	require.True(t, q.Take(2, 2), "another tenant has a quota of its own")

	q.Give(1)
	require.True(t, q.Take(1, 2), "what was given back can be taken again")
	require.False(t, q.Take(1, 2))
	q.Give(1)
}
