package folds_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// BenchmarkHistory asks for pages of status logs (S9) of 1,000 agents who changed
// their state 100 times a day.
func BenchmarkHistory(b *testing.B) {
	storetest.EachBench(b, benchHistory)
}

func benchHistory(b *testing.B) {
	const agents, changes = 1000, 100
	db, ctx := withTenants(b), context.Background()
	f := storage.NewFolds(db.DB)
	for a := range agents {
		events := make([]*event.Event, changes)
		for c := range changes {
			at := pastStart + int64(c)*(dayMS/changes) + int64(a)*100
			events[c] = &event.Event{Tenant: 1, Type: event.AgentStatus, OrderKey: fmt.Sprint("agent/", a), Body: fmt.Appendf(nil,
				`{"agentUUID": "agent-%d", "agentID": "%d", "startTime": %d, "loginStatus": %d, "workStatus": %d}`, a, a, at, 1+c%2, 1+c%8)}
		}
		_, err := db.Accept(ctx, events)
		require.NoError(b, err)
	}
	require.NoError(b, f.FoldTo(ctx, 1))
	db.exec(b, "ANALYZE")
	day := live.HistoryFilter{Tenant: 1, From: pastStart, To: pastStart + dayMS, Now: pastStart + dayMS, Limit: 50}
	few := func(all []live.Agent) (keys []string) {
		for _, a := range all[:3] {
			keys = append(keys, a.Key)
		}
		return keys
	}
	for _, c := range []struct {
		name   string
		change func(*live.HistoryFilter)
	}{
		{"first", func(*live.HistoryFilter) {}},
		{"deep", func(f *live.HistoryFilter) { f.Offset = 90_000 }},
		{"hour", func(f *live.HistoryFilter) { f.From, f.To = pastStart+dayMS/2, pastStart+dayMS/2+3_600_000 }},
		{"agents", func(f *live.HistoryFilter) { f.Agents = few }},
		{"codes", func(f *live.HistoryFilter) { f.Work, f.Login = []int64{5, 6}, []int64{1} }},
	} {
		of := day
		c.change(&of)
		b.Run(c.name, func(b *testing.B) {
			storetest.Pages(b, func() error {
				page, _, err := f.FindStretches(ctx, of)
				if err == nil && len(page) != of.Limit {
					err = fmt.Errorf("%d rows", len(page))
				}
				return err
			})
		})
	}
}
