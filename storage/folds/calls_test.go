package folds_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// Ids may hold NUL, which PostgreSQL's texts cannot: two events of one such call
// are of one call, and retention takes it away.
func TestOddCallIDs(t *testing.T) { storetest.Each(t, testOddCallIDs) }

func testOddCallIDs(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	for _, typ := range []event.Type{event.CallRinging, event.CallEstablished} {
		_, err := db.Accept(ctx, []*event.Event{{Tenant: 1, Type: typ, OrderKey: "call/x", OccurredAt: 5, Body: []byte(`{"callID": "a\u0000b", "partyID": "p\u0000", "agentUUID": "u\u0000"}`)}})
		require.NoError(t, err)
		require.NoError(t, f.FoldTo(ctx, 1))
	}
	// Nor do two ids that are then one stop the fold.
	_, err := db.Accept(ctx, []*event.Event{
		{Tenant: 1, Type: event.AgentStatus, OrderKey: "agent/u", Body: []byte(`{"agentUUID": "u\u0000", "startTime": 7, "loginStatus": 1}`)},
		{Tenant: 1, Type: event.AgentStatus, OrderKey: "agent/v", Body: []byte(`{"agentUUID": "u\ufffd", "startTime": 7, "loginStatus": 2}`)},
	})
	require.NoError(t, err)
	found, err := f.FindFacts(ctx, 1, 0)
	require.NoError(t, err)
	require.Len(t, found.Calls, 1)
	require.Len(t, found.Agents, 1)
	for _, p := range found.Calls[0].Parties {
		require.Len(t, p.Changes, 2)
	}
	db.exec(t, "INSERT INTO retention (tenant, payload) VALUES (1, 4611686018427387904)")
	require.NoError(t, f.Trim(ctx))
	found, err = f.FindFacts(ctx, 1, 0)
	require.NoError(t, err)
	require.Empty(t, found.Agents)
	require.Empty(t, found.Calls)
}
