package hub

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest/pgtest"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/subscriptions"
)

// Two deliveries of a subscription are given up within a minute, each by the process
// that owns the subscription just then, or by one process that was restarted: one
// piece of news. A minute later there may be another.
func TestNewsOfSeveralProcesses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	key, _ := signing.NewMasterKey()
	box, err := signing.NewBox(key)
	require.NoError(t, err)
	for name, cfg := range map[string]storage.Config{
		"sqlite":   {Dir: t.TempDir(), Process: "p", Box: box},
		"postgres": {URL: pgtest.Database(t), Process: "p", Box: box},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := storage.Open(ctx, cfg)
			require.NoError(t, err)
			defer func() { require.NoError(t, db.Close()) }()

			require.NoError(t, db.CreateTenant(ctx, access.Caller{Role: access.Platform}, &access.Tenant{CompanyID: "demo"}))

			// Both processes have the same store and a memory of their own.
			now := time.Now()
			process := func() *operations {
				o := newOperations(slog.New(slog.DiscardHandler))
				o.store = db
				o.now = func() time.Time { return now }
				return o
			}
			giveUp := func(o *operations, sub int64) {
				o.Ended(delivery.Report{
					Item:    &delivery.Item{ID: delivery.ID{Sub: sub, Seq: 7}, Type: event.CDRCall, AcceptedAt: now.UnixMilli()},
					Sub:     &subscriptions.Subscription{No: sub, ID: "s", Tenant: 1, CompanyID: "demo"},
					Attempt: &delivery.Attempt{StatusCode: http.StatusUnprocessableEntity},
					Verdict: delivery.Verdict{State: delivery.Exhausted},
				})
				for len(o.queue) > 0 {
					require.NoError(t, o.say(ctx, <-o.queue))
				}
			}
			stored := func() int {
				events, _, err := db.FindEvents(ctx, search.EventFilter{Tenant: 1, Limit: 10})
				require.NoError(t, err)
				return len(events)
			}

			one, two := process(), process()
			giveUp(one, 1)
			require.Equal(t, 1, stored())
			now = now.Add(59 * time.Second)
			giveUp(two, 1)
			giveUp(one, 1)
			giveUp(process(), 1)
			require.Equal(t, 1, stored(), "one a minute, whoever says it")
			giveUp(two, 2)
			require.Equal(t, 2, stored(), "of another subscription")
			now = now.Add(time.Second)
			giveUp(one, 1)
			require.Equal(t, 3, stored(), "a minute later")
		})
	}
}
