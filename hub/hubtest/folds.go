package hubtest

import (
	"context"

	"github.com/stretchr/testify/require"
)

// Rebuild makes the folds of the store again from the events: those of the names, or
// all.
func (h *Hub) Rebuild(names ...string) {
	h.t.Helper()
	require.NoError(h.t, h.hub.Rebuild(context.Background(), names...))
}
