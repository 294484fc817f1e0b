package storage

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
)

// BenchmarkBoard asks for the board of 1,000 agents who took 20 calls each today.
func BenchmarkBoard(b *testing.B) {
	for _, store := range []string{"sqlite", postgresTest} {
		b.Run(store, benchBoard)
	}
}

func benchBoard(b *testing.B) {
	const agents, calls = 1000, 20
	db, ctx := withTenants(b), context.Background()
	f := NewFolds(db.DB)
	for a := range agents {
		events := []*event.Event{{Tenant: 1, Type: event.AgentStatus, OrderKey: fmt.Sprint("agent/", a), Body: fmt.Appendf(nil, `{"agentUUID": "agent-%d", "agentID": "%d", "startTime": %d, "loginStatus": 1, "workStatus": 1}`, a, a, pastStart)}}
		for c := range calls {
			id, at := fmt.Sprint(a, "-", c), int64(pastStart+c*1000)
			for i, typ := range []event.Type{event.CallRinging, event.CallEstablished, event.CallReleased} {
				events = append(events, &event.Event{Tenant: 1, Type: typ, OrderKey: "call/" + id, OccurredAt: at + int64(i), Body: fmt.Appendf(nil, `{"callID": %q, "partyID": "p", "agentUUID": "agent-%d", "callType": "Inbound", "ANI": "13800000000"}`, id, a)})
			}
			events = append(events, &event.Event{Tenant: 1, Type: event.CDRCall, OrderKey: "cdr/" + id, Body: fmt.Appendf(nil, `{"callID": %q, "startTime": %d, "callType": 2}`, id, at)})
		}
		_, err := db.Accept(ctx, events)
		require.NoError(b, err)
	}
	require.NoError(b, f.FoldTo(ctx, 1))
	none := &directory.Directory{}
	boards := live.Boards{Scenes: f, Directory: func(int64) *directory.Directory { return none }}
	n := int64(pastStart + 60_000)
	ask := func() error {
		p, err := boards.At(ctx, 1, n, time.UTC)
		if err == nil && len(p.Rows) != agents {
			err = fmt.Errorf("%d agents", len(p.Rows))
		}
		return err
	}
	require.NoError(b, ask())
	b.Run("same", func(b *testing.B) { benchPages(b, ask) })
	b.Run("changed", func(b *testing.B) { // 20 events since the last
		benchPages(b, func() error {
			var events []*event.Event
			for range 20 {
				n++
				events = append(events, &event.Event{Tenant: 1, Type: event.AgentStatus, Body: fmt.Appendf(nil, `{"agentUUID": "agent-%d", "startTime": %d, "workStatus": %d}`, n%agents, n, n%9)})
			}
			if _, err := db.Accept(ctx, events); err != nil {
				return err
			}
			return ask()
		})
	})
}
