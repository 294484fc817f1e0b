package storage

import (
	"context"
	"fmt"
	"testing"

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
	m := live.Moment{Now: pastStart + 60_000, From: pastStart - 1000, To: pastStart + dayMS}
	benchPages(b, func() error {
		seen, found, err := f.FindLive(ctx, 1, m.Since())
		if err == nil {
			board := live.NewBoard(m, seen, found, &directory.Directory{})
			require.Len(b, board.Rows, agents)
		}
		return err
	})
}
