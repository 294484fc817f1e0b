package storage

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// What was pushed once with a masking is pushed again as the same bytes, even
// when the code that masks has changed since.
func TestMaskedBodyIsMadeOnce(t *testing.T) { eachStore(t, testMaskedBodyIsMadeOnce) }

func testMaskedBodyIsMadeOnce(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	one, two := db.subscribe(t, 1, ""), db.subscribe(t, 1, "")
	e := &event.Event{Tenant: 1, Type: event.CDRCall, Body: []byte(`{"customerNumber":"13911110001"}`)}
	_, err := db.Accept(ctx, []*event.Event{e})
	require.NoError(t, err)
	load := func(sub int64, m event.Masking) *delivery.Item {
		items, err := db.Pending(ctx, sub, delivery.ID{}, 10)
		require.NoError(t, err)
		require.Len(t, items, 1)
		require.NoError(t, db.Load(ctx, items, m))
		return items[0]
	}

	it := load(one.No, event.Unmasked)
	require.Equal(t, string(e.Body), string(it.Body))
	require.Equal(t, event.Unmasked, it.Masked)
	require.NoError(t, db.Load(ctx, []*delivery.Item{it}, event.Partial))
	require.Equal(t, `{"customerNumber":"139****0001"}`, string(it.Body))
	require.Equal(t, event.Partial, it.Masked, "it is to be stored")
	require.Zero(t, db.count(t, "masked_bodies"), "not before it was pushed")

	it.Body = []byte(`{"customerNumber":"as it was done then"}`)
	done := make(chan error, 1)
	db.Record(&delivery.Outcome{
		Item: it, Epoch: 1, Attempt: refused503(), Verdict: delivery.Verdict{State: delivery.Pending},
		Done: func(err error) { done <- err },
	})
	require.NoError(t, <-done)

	other := load(two.No, event.Partial)
	require.Equal(t, `{"customerNumber":"as it was done then"}`, string(other.Body))
	require.Equal(t, event.Unmasked, other.Masked, "it is stored")
	require.Equal(t, `{"customerNumber":""}`, string(load(two.No, event.Dropped).Body))

	shown, err := db.FindMasked(ctx, 1, e.Seq, event.Partial)
	require.NoError(t, err)
	require.Equal(t, string(other.Body), string(shown))
	for _, none := range []struct {
		tenant int64
		m      event.Masking
	}{{1, event.Dropped}, {2, event.Partial}} {
		shown, err = db.FindMasked(ctx, none.tenant, e.Seq, none.m)
		require.NoError(t, err)
		require.Nil(t, shown)
	}
}
