package delivery

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/subscriptions"
)

const shard1 = 1 // of the world's subscription

// newOwner is a world whose dispatcher owns nothing until the test says so.
func newOwner(t *testing.T, change ...func(*subscriptions.Subscription)) *world {
	w := newWorld(t, append(change, func(s *subscriptions.Subscription) { s.Timeout = 10 * time.Second })...)
	w.own = func(*Dispatcher) {}
	return w
}

// renew every second until the test is over, as the owner of a healthy process does.
func (w *world) renew() (stop func()) {
	done := make(chan struct{})
	w.d.Renewed(time.Now().Add(4 * time.Second))
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				w.d.Renewed(time.Now().Add(4 * time.Second))
			}
		}
	}()
	var stopped bool
	stop = func() {
		if !stopped {
			stopped = true
			close(done)
		}
	}
	w.t.Cleanup(stop)
	return stop
}

// Nothing is sent from a shard that belongs to somebody else, or to nobody.
func TestOnlyTheOwnerSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwner(t).run()
		w.renew()
		w.accept(1)
		w.after(time.Minute)
		require.Empty(t, w.seen())

		w.d.Own(shard1+1, 1)
		w.accept(2)
		w.after(time.Minute)
		require.Empty(t, w.seen())
		require.Zero(t, w.d.Lanes())

		w.d.Own(shard1, 7)
		w.after(time.Second)
		require.ElementsMatch(t, []string{"1/1@120", "2/1@120"}, w.sent())
		require.Equal(t, []int64{7, 7}, w.epochs)
	})
}

// A process that cannot renew stops within the lease, with what is in flight,
// and goes on where it was once it can, if nobody took the shard meanwhile.
func TestLeaseLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwner(t)
		hang := true
		w.answer = func(_ push, _ http.ResponseWriter, r *http.Request) {
			if hang {
				<-r.Context().Done()
			}
		}
		w.run()
		stop := w.renew()
		w.d.Own(shard1, 1)
		w.accept(5)
		w.after(2500 * time.Millisecond)
		require.Len(t, w.seen(), 1)
		stop() // the last renewal was at 2 s, it holds until 6 s
		w.after(3 * time.Second)
		require.Equal(t, 1, w.inFlight(), "at 5.5 s the request may go on")
		w.after(time.Second)
		require.Zero(t, w.inFlight(), "at 6.5 s it was cut off")
		hang = false
		w.accept(6)
		w.after(time.Minute)
		require.Len(t, w.seen(), 1)
		require.Equal(t, []string{"pending", "pending"}, w.states())
		require.Empty(t, w.epochs, "nothing is recorded of what was cut off")

		w.renew()
		w.after(time.Second)
		require.Equal(t, []string{"delivered", "delivered"}, w.states())
		require.Len(t, w.seen(), 3)
	})
}

// The clock decides, not the timer: a process that was stopped finds out when it
// goes on that its time is over.
func TestLeaseAsksTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lease
		require.False(t, l.valid())
		l.renew(time.Now().Add(4 * time.Second))
		require.True(t, l.valid())
		l.timer.Stop() // as if it had not come to fire yet
		time.Sleep(4 * time.Second)
		require.False(t, l.valid())
		ctx, cancel := l.during(t.Context())
		defer cancel()
		require.Error(t, ctx.Err())

		l.renew(time.Now().Add(time.Second))
		require.True(t, l.valid())
		ctx, cancel = l.during(t.Context())
		defer cancel()
		l.renew(time.Now().Add(-time.Second)) // an answer that came too late takes nothing away
		require.True(t, l.valid())
		time.Sleep(time.Second + 1)
		synctest.Wait()
		require.Error(t, ctx.Err())
		l.renew(time.Time{})
		require.True(t, l.valid())
		time.Sleep(24 * time.Hour)
		require.True(t, l.valid())
	})
}

// What is in flight when a shard is lost is cut off and not recorded.
func TestLose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwner(t)
		w.answer = func(_ push, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		w.run()
		w.renew()
		w.d.Own(shard1, 1)
		w.accept(5, 6)
		w.after(time.Second)
		require.Equal(t, 2, w.inFlight())
		w.d.Lose(shard1)
		w.after(time.Second)
		require.Zero(t, w.inFlight())
		require.Zero(t, w.d.Lanes())
		require.Empty(t, w.epochs)
		w.accept(7)
		w.after(time.Minute)
		require.Len(t, w.seen(), 2, "it is silent")

		w.answer = func(push, http.ResponseWriter, *http.Request) {}
		w.d.Own(shard1, 3)
		w.after(time.Second)
		require.Equal(t, []string{"delivered", "delivered", "delivered"}, w.states())
		require.Equal(t, []int64{3, 3, 3}, w.epochs)
	})
}

// A shard is handed over with nothing in flight: what was is recorded, what
// was not sent yet is left to the next owner.
func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwner(t)
		w.answer = func(push, http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) }
		w.run()
		w.renew()
		w.d.Own(shard1, 1)
		w.accept(5, 5, 6)
		w.after(time.Second)
		require.Len(t, w.seen(), 2)
		w.d.Release(shard1, 1, 5*time.Second)
		require.Equal(t, 3*time.Second, time.Since(w.began), "as soon as nothing is in flight")
		require.False(t, w.d.Owns(shard1))
		w.after(time.Minute)
		require.Equal(t, []string{"delivered", "pending", "delivered"}, w.states())
		require.Len(t, w.seen(), 2)

		w.d.Own(shard1, 2)
		w.after(time.Minute)
		require.Equal(t, []string{"delivered", "delivered", "delivered"}, w.states())
		require.Equal(t, []int64{1, 1, 2}, w.epochs)
	})
}

// A receiver that hangs does not hold up the hand-over.
func TestReleaseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwner(t)
		w.answer = func(_ push, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		w.run()
		w.renew()
		w.d.Own(shard1, 1)
		w.accept(5)
		w.after(time.Second)
		w.d.Release(shard1, 1, 5*time.Second)
		require.Equal(t, 6*time.Second, time.Since(w.began))
		require.Empty(t, w.epochs)
	})
}

// A new owner does not know how many pushes the one before made in the last
// second, so it counts them as all that are allowed.
func TestRateAtTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwner(t, func(s *subscriptions.Subscription) { s.RatePerSecond = 10 }).run()
		w.renew()
		for range 60 {
			w.accept(0)
		}
		began := time.Now()
		for epoch := range int64(8) {
			w.d.Own(shard1, epoch+1)
			w.after(500 * time.Millisecond)
			w.d.Release(shard1, epoch+1, time.Second)
		}
		n := len(w.seen())
		most := int(10*time.Since(began).Seconds()) + 1
		require.LessOrEqual(t, n, most)
		require.Greater(t, n, most/2, "but it does send")
	})
}

// An event that another process matched with a later version of the
// subscription goes by that one.
func TestLaterVersionIsLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).run()
		w.accept(1)
		w.after(time.Second)
		next := *w.index.Get(1)
		next.Version, next.URL = next.Version+1, "http://receiver.test/new"
		w.mu.Lock()
		w.elsewhere = &next
		w.mu.Unlock()
		var path string
		w.answer = func(_ push, _ http.ResponseWriter, r *http.Request) { path = r.URL.Path }
		w.put(func(r *stored) { r.Version = next.Version })
		w.d.Nudge(1, 0)
		w.after(time.Second)
		require.Equal(t, []string{"delivered", "delivered"}, w.states())
		require.Equal(t, "/new", path)
		require.Equal(t, next.Version, w.rows[1].attempts[0].Version)
	})
}

// On PostgreSQL a lower number can be committed after a higher one, and the word
// of it come late. Of one order key the one posted later never goes first.
func TestLowerNumberOfTheKeyGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).run()
		w.accept(1)
		w.after(time.Millisecond)
		w.put(func(r *stored) { r.Key, r.state = 5, Cancelled }) // event 2, not visible yet
		w.accept(2)
		w.after(time.Second)
		require.Equal(t, []string{"1/1@0", "3/1@0"}, w.sent(), "the lane is past it")
		w.mu.Lock()
		w.rows[1].state = Pending
		w.mu.Unlock()
		w.accept(5) // posted after the answer to event 2; of that one nobody spoke
		w.after(time.Second)
		require.Equal(t, []string{"1/1@0", "3/1@0", "2/1@1", "4/1@1"}, w.sent())
	})
}
