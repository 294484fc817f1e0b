package hub

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/operate"
)

// state returns how this hub is, for GET /v1/hub: what /metrics has, and what the hub
// is made of.
func (h *Hub) state(ctx context.Context) (*api.HubState, error) {
	s := &api.HubState{
		Version: operate.Version(), Process: h.process,
		StartedAt: api.Time(h.started), UptimeSeconds: int64(time.Since(h.started).Seconds()),
		Lanes: h.lanes.Lanes(), Tenants: h.book.Tenants(),
	}
	if err := h.storeState(ctx, s); err != nil {
		return nil, fmt.Errorf("state of the hub: %w", err)
	}
	if h.broker != nil {
		s.Broker = &api.BrokerState{Connections: h.broker.Connections()}
	}

	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s.Memory = api.MemoryState{HeapBytes: memory.HeapAlloc, Goroutines: runtime.NumGoroutine()}

	st := h.db.Stats()
	s.Counts = map[string]int64{
		"commits": st.Commits.Load(), "events": st.Events.Load(), "conflicts": st.Conflicts.Load(),
		"fenced": st.Fenced.Load(), "failures": st.Failures.Load(),
	}
	return s, nil
}

// storeState fills in what the store knows.
func (h *Hub) storeState(ctx context.Context, s *api.HubState) (err error) {
	s.Store.Kind = "sqlite"
	if h.db.Shared() {
		s.Store.Kind = "postgres"
	}
	if s.Store.Bytes, err = h.db.Size(ctx); err != nil {
		return err
	}
	var disk syscall.Statfs_t
	if syscall.Statfs(h.cfg.Data, &disk) == nil {
		free := int64(disk.Bavail) * int64(disk.Bsize)
		s.Store.Free = &free
	}
	if s.Processes, err = h.db.Processes(ctx); err != nil {
		return err
	}

	backlog, err := h.db.Backlog(ctx)
	if err != nil {
		return err
	}
	for _, n := range backlog {
		s.Deliveries.Pending += n
	}
	oldest, err := h.db.OldestPending(ctx)
	if err != nil {
		return err
	}
	if oldest > 0 {
		at := api.Time(time.UnixMilli(oldest))
		s.Deliveries.OldestPending = &at
	}

	s.Folds.Behind, err = h.folds.BehindAll(ctx)
	return err
}
