package subscriptions_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/subscriptions"
)

// Whatever pauses, requests to wait and releases come in whatever order, the
// active clock has gone on in exactly those milliseconds in which the
// subscription was neither paused nor asked to wait.
func TestActiveClockCountsEachMillisecondOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := time.UnixMilli(1_700_000_000_000)
		now := begin
		sub := &subscriptions.Subscription{State: subscriptions.Active}
		var asked time.Time // until when the receiver wants nothing
		active := begin.UnixMilli()
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"pause", "resume", "ask", "move", "wait", "wait"}).Draw(t, "step") {
			case "pause":
				sub = sub.Pause(subscriptions.ByAdmin, now)
			case "resume":
				sub, asked = sub.Release(now).Resume(now), now
			case "move":
				sub, asked = sub.Release(now), now
			case "ask":
				until := now.Add(time.Duration(rapid.IntRange(1, 50).Draw(t, "ask")) * time.Millisecond)
				sub = sub.StandStill(now, until)
				if until.After(asked) {
					asked = until
				}
			case "wait":
				for range rapid.IntRange(1, 40).Draw(t, "wait") {
					if !sub.Paused() && !now.Before(asked) {
						active++
					}
					now = now.Add(time.Millisecond)
				}
			}
			require.Equal(t, active, sub.ActiveClock(now))
		}
	})
}

func TestActiveClockLooksAhead(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	sub := (&subscriptions.Subscription{State: subscriptions.Active}).StandStill(now, now.Add(time.Hour))
	require.Equal(t, now.UnixMilli(), sub.ActiveClock(now.Add(30*time.Minute)))
	require.Equal(t, now.Add(10*time.Minute).UnixMilli(), sub.ActiveClock(now.Add(70*time.Minute)))
}

// The index keeps the latest standstill, in whatever order row and hold are read.
func TestIndexKeepsTheLatestStandstill(t *testing.T) {
	x := subscriptions.NewIndex()
	x.Put(&subscriptions.Subscription{No: 1, Tenant: 1, Version: 1})
	x.SetStandstill(1, subscriptions.Standstill{Past: time.Minute, Mark: 2})
	x.SetStandstill(1, subscriptions.Standstill{Past: time.Second, Mark: 1})
	x.SetStandstill(2, subscriptions.Standstill{Past: time.Second, Mark: 9})
	require.Equal(t, time.Minute, x.Get(1).Standstill.Past)
	x.Put(&subscriptions.Subscription{No: 1, Tenant: 1, Version: 2, Name: "read before"})
	require.Equal(t, time.Minute, x.Get(1).Standstill.Past)
	require.Equal(t, "read before", x.OfTenant(1)[0].Name)
	x.Put(&subscriptions.Subscription{No: 1, Tenant: 1, Version: 3, Standstill: subscriptions.Standstill{Mark: 3}})
	require.Zero(t, x.Get(1).Standstill.Past)
	require.Nil(t, x.Get(2))
}
