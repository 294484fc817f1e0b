package hubtest

import (
	"context"

	"github.com/stretchr/testify/require"
)

// Rebuild makes the folds of the store anew: all, or those of the names given.
func (h *Hub) Rebuild(names ...string) {
	h.t.Helper()
	require.NoError(h.t, h.hub.Rebuild(context.Background(), names...))
}
