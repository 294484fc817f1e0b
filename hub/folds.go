package hub

import "context"

// Rebuild makes the folds anew from the events that are there: all of them, or
// those of the names given. Queries meanwhile wait for those of their tenant.
func (h *Hub) Rebuild(ctx context.Context, names ...string) error {
	return h.folds.RebuildAll(ctx, names...)
}
