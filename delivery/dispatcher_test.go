package delivery

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

// bubble runs f in a time of its own.
func bubble(f func(t *testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

// TestDispatcher plays what happens to a subscription, each story in a world of its own
// (world_test.go), where days pass at once.
func TestDispatcher(t *testing.T) {
	t.Run("one key goes in order, others meanwhile", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(p push, _ http.ResponseWriter, _ *http.Request) { time.Sleep(500 * time.Millisecond) }
		w.accept(7, 7, 8, 7)
		w.run().after(10 * time.Second)
		sent := w.sent()
		slices.Sort(sent)
		require.Equal(t, []string{"1/1@0", "2/1@0", "3/1@0", "4/1@1"}, sent)
		require.Equal(t, []string{"delivered", "delivered", "delivered", "delivered"}, w.states())
		require.Equal(t, 2, w.log().most)
	}))

	t.Run("retries by the schedule hold the key, then it is exhausted", bubble(func(t *testing.T) {
		w := newWorld(t, schedule(time.Second, 5*time.Second, 20*time.Second))
		w.answer = func(p push, rw http.ResponseWriter, _ *http.Request) {
			if p.seq == 1 {
				rw.WriteHeader(http.StatusInternalServerError)
			}
		}
		w.accept(7, 7, 8)
		w.run().after(time.Minute)
		require.ElementsMatch(t, []string{"1/1@0", "3/1@0", "1/2@1", "1/3@6", "1/4@26", "2/1@26"}, w.sent())
		require.Equal(t, []string{"exhausted", "delivered", "delivered"}, w.states())
	}))

	t.Run("a body refused as bad steps aside after 60 s, and says so", bubble(func(t *testing.T) {
		w := newWorld(t, schedule(10*time.Second, time.Hour/2))
		w.answer = func(p push, rw http.ResponseWriter, _ *http.Request) {
			if p.seq == 1 && p.attempt != "3" {
				rw.WriteHeader(http.StatusUnprocessableEntity)
			}
		}
		w.accept(7, 7, 7)
		w.run().after(time.Hour)
		require.Equal(t, []string{"1/1@0", "1/2@10", "2/1@60", "3/1@60", "1/3@1810!"}, w.sent())
		require.Equal(t, []string{"delivered", "delivered", "delivered"}, w.states())
		require.Empty(t, w.log().holds, "a bad body says nothing about the receiver")
	}))

	t.Run("after a restart what stepped aside still is", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.put(func(r *stored) {
			r.Key, r.Tries, r.DueAt, r.AsideAt = 7, 1, time.Now().Add(time.Minute).UnixMilli(), time.Now().UnixMilli()
		})
		w.accept(7)
		w.run().after(2 * time.Minute)
		require.Equal(t, []string{"2/1@0", "1/2@60!"}, w.sent())
	}))

	t.Run("after a restart a waiting head holds its key, however far behind", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.MaxInFlight = 64 })
		for n := range int64(600) {
			w.put(func(r *stored) { r.Key = 100 + n })
		}
		w.put(func(r *stored) { r.Key, r.Tries, r.DueAt = 7, 2, time.Now().Add(30*time.Second).UnixMilli() })
		w.accept(7)
		w.run().after(20 * time.Second)
		require.Len(t, w.seen(), 600)
		w.after(20 * time.Second)
		require.Equal(t, []string{"601/3@30", "602/1@30"}, w.sent()[600:])
	}))

	t.Run("time-outs leave one in flight until a success", bubble(func(t *testing.T) {
		w := newWorld(t, unordered, schedule(time.Hour), func(s *subscriptions.Subscription) {
			s.Timeout, s.MaxInFlight = 10*time.Second, 3 // fewer than what opens the breaker
		})
		w.answer = func(p push, rw http.ResponseWriter, r *http.Request) {
			if p.seq <= 4 {
				hang(p, rw, r)
				return
			}
			time.Sleep(time.Second)
		}
		w.accept(make([]int64, 12)...)
		w.run().after(10*time.Second + 500*time.Millisecond)
		require.Equal(t, []string{"1/1@0", "2/1@0", "3/1@0"}, sorted(w.sent()[:3]))
		w.after(time.Hour / 2)
		seen := w.seen()[3:]
		require.Equal(t, 5, seen[1].seq)
		require.GreaterOrEqual(t, seen[1].after-seen[0].after, 10*time.Second,
			"the fifth did not wait for the fourth to time out")
		require.Equal(t, 3, slices.MaxFunc(seen[2:], func(a, b push) int { return a.open - b.open }).open,
			"after successes it sends as much as before")
	}))

	t.Run("hanging receivers get a probe, not their share", bubble(func(t *testing.T) {
		w := newWorld(t, unordered)
		w.answer = hang
		w.accept(make([]int64, 300)...)
		w.run().after(30 * time.Minute)
		later := slices.DeleteFunc(w.seen(), func(p push) bool { return p.after < 2*time.Second })
		for _, p := range later {
			require.Equal(t, 1, p.open)
		}
		require.Len(t, later, 5, "after 30, 60, 120, 240, 480 s")
		require.Less(t, w.log().reads, 3*readyMax, "the lane keeps what it may send, not the backlog")
	}))

	t.Run("the breaker opens once, probes, doubles its wait, closes and ramps up", bubble(func(t *testing.T) {
		w := newWorld(t, unordered, schedule(hours(20)...), func(s *subscriptions.Subscription) {
			s.MaxInFlight, s.Timeout = 4, 10*time.Second
			s.GiveUpAfter = map[event.Class]time.Duration{event.Live: 30 * 24 * time.Hour}
		})
		up := false
		w.answer = func(_ push, rw http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			w.mu.Lock()
			defer w.mu.Unlock()
			if !up {
				rw.WriteHeader(http.StatusBadGateway)
			}
		}
		w.accept(make([]int64, 60)...)
		w.run().after(20 * time.Second)
		require.Len(t, w.seen(), 8, "two rounds of four: the fifth failure in a row opens it")
		require.Len(t, w.log().holds, 1, "the hold is written once, and no delivery's row with it")
		require.Equal(t, "breaker", w.log().holds[0].Reason)
		require.Equal(t, "open", w.log().holds[0].Breaker.State)

		w.after(2 * time.Hour)
		var gaps []int
		seen := w.seen()[8:]
		for i, p := range seen {
			require.Equal(t, 1, p.open, "one probe at a time")
			if i > 0 {
				gaps = append(gaps, int((p.after-seen[i-1].after).Round(time.Second).Seconds())-1)
			}
		}
		require.Equal(t, []int{60, 120, 240, 480, 900, 900, 900, 900}, gaps[:8])
		require.Equal(t, len(seen)+1, len(w.log().holds), "one hold each")

		w.mu.Lock()
		up = true
		before := len(w.pushes)
		w.mu.Unlock()
		w.after(20 * time.Minute)
		var open []int
		for _, p := range w.seen()[before:] {
			open = append(open, p.open)
		}
		require.Equal(t, 1, open[0], "the probe")
		require.Equal(t, []int{1, 2}, open[1:3], "then two, then as many as it may")
		require.Equal(t, 4, slices.Max(open))
		require.Equal(t, Hold{Breaker: w.log().hold.Breaker}, w.log().hold)
		require.Equal(t, "closed", w.log().hold.Breaker.State)
		w.after(25 * time.Hour)
		require.NotContains(t, w.states(), "pending")
		require.NotContains(t, w.states(), "exhausted", "held time used up no try")
	}))

	t.Run("an open breaker survives a restart", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.hold = Hold{
			Until: time.Now().Add(45 * time.Second).UnixMilli(), Reason: "breaker",
			Breaker: Breaker{State: "open", Opens: 3, Since: 1, FailingSince: 1},
		}
		w.answer = always(http.StatusBadGateway)
		w.accept(1, 2, 3)
		w.run().after(44 * time.Second)
		require.Empty(t, w.seen())
		w.after(2 * time.Second)
		require.Len(t, w.seen(), 1, "one probe")
		require.Equal(t, 4, w.log().hold.Breaker.Opens)
		require.InDelta(t, 240, time.Until(time.UnixMilli(w.log().hold.Until)).Seconds(), 2, "the fourth opening in a row")
	}))

	t.Run("five days of failing pause it", bubble(func(t *testing.T) {
		w := newWorld(t, schedule(hours(20)...), func(s *subscriptions.Subscription) {
			s.GiveUpAfter = map[event.Class]time.Duration{event.Live: 30 * 24 * time.Hour}
		})
		w.answer = always(http.StatusInternalServerError)
		for range 30 {
			w.accept(0)
		}
		w.run().after(failingFor - time.Minute)
		require.Empty(t, w.log().pauses)
		w.after(16 * time.Minute)
		require.Equal(t, []string{"failing"}, w.log().pauses)
		before := len(w.seen())
		w.after(48 * time.Hour)
		require.Len(t, w.seen(), before)
	}))

	t.Run("Retry-After holds all of the subscription", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.MaxInFlight = 1 })
		w.answer = func(p push, rw http.ResponseWriter, _ *http.Request) {
			if p.seq == 1 && p.attempt == "1" {
				rw.Header().Set("Retry-After", "100000") // capped at an hour
				rw.WriteHeader(http.StatusTooManyRequests)
			}
		}
		w.accept(1, 2, 3)
		w.put(func(r *stored) { r.GiveUpAt = time.Now().Add(10 * time.Minute).UnixMilli() })
		w.run().after(59 * time.Minute)
		require.Equal(t, []string{"1/1@0"}, w.sent())
		require.Equal(t, "retryAfter", w.log().hold.Reason)
		require.Equal(t, time.Second, w.dueAt(0).Sub(w.began).Round(time.Second), "due by the schedule")
		w.after(2 * time.Minute)
		require.Equal(t, []string{"1/1@0", "1/2@3600", "2/1@3600", "3/1@3600", "4/1@3600"}, w.sent(),
			"giveUpAfter stood still")
	}))

	t.Run("Retry-After of an hour on a live event: the number of tries ends it, not the clock", bubble(func(t *testing.T) {
		w := newWorld(t, schedule(time.Second, 5*time.Second))
		w.answer = func(_ push, rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "3600")
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		w.accept(1)
		w.run().after(4 * time.Hour)
		require.Equal(t, []string{"1/1@0", "1/2@3600", "1/3@7200"}, w.sent())
		require.Equal(t, []string{"exhausted"}, w.states())
	}))

	t.Run("a Retry-After stops the clock of what comes during it likewise", bubble(func(t *testing.T) {
		w := newWorld(t, schedule(slices.Repeat([]time.Duration{time.Minute}, 20)...), func(s *subscriptions.Subscription) {
			s.MaxInFlight = 1
			s.GiveUpAfter = map[event.Class]time.Duration{event.Live: 10 * time.Minute}
		})
		w.answer = func(p push, rw http.ResponseWriter, _ *http.Request) {
			if p.attempt == "1" && p.seq == 1 {
				rw.Header().Set("Retry-After", "3000")
				rw.WriteHeader(http.StatusTooManyRequests)
				return
			}
			rw.WriteHeader(http.StatusBadRequest) // held no longer, and not taken
		}
		w.accept(1)
		w.run().after(45 * time.Minute)
		w.accept(2) // its clock begins to run in five minutes
		w.after(5*time.Minute + 8*time.Minute)
		require.Equal(t, "pending", w.states()[1])
		w.after(3 * time.Minute)
		require.Equal(t, "exhausted", w.states()[1], "not later, either")
	}))

	t.Run("a breaker's hold does not stop the clock", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) {
			s.GiveUpAfter = map[event.Class]time.Duration{event.Live: 20 * time.Second}
		})
		w.hold = Hold{
			Until: time.Now().Add(time.Minute).UnixMilli(), Reason: "breaker", Breaker: Breaker{State: "open", Opens: 1},
		}
		w.accept(1)
		w.run().after(35 * time.Second)
		require.Equal(t, []string{"exhausted"}, w.states())
	}))

	t.Run("resume ends the hold of a Retry-After, and nothing waits behind it", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.MaxInFlight = 1 })
		w.answer = func(p push, rw http.ResponseWriter, _ *http.Request) {
			if p.seq == 1 && p.attempt == "1" {
				rw.Header().Set("Retry-After", "3600")
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
		}
		w.accept(7, 7, 8)
		w.run().after(10 * time.Minute)
		require.Equal(t, []string{"1/1@0"}, w.sent())
		w.resume()
		w.after(time.Second)
		require.Equal(t, []string{"1/1@0", "1/2@600", "2/1@600", "3/1@600"}, w.sent())
		require.Equal(t, Hold{}, w.log().hold)
	}))

	t.Run("resume closes an open breaker", bubble(func(t *testing.T) {
		w := newWorld(t, schedule(hours(9)...))
		w.hold = Hold{
			Until: time.Now().Add(15 * time.Minute).UnixMilli(), Reason: "breaker",
			Breaker: Breaker{State: "open", Opens: 9, FailingSince: 1},
		}
		w.answer = always(http.StatusBadGateway)
		w.accept(1)
		w.run().after(time.Minute)
		require.Empty(t, w.seen())
		w.resume()
		w.after(time.Second)
		require.Equal(t, []string{"1/1@60"}, w.sent())
		for range 4 {
			w.accept(0)
		}
		w.after(time.Second)
		require.Len(t, w.seen(), 5)
		require.Equal(t, 1, w.log().hold.Breaker.Opens, "the openings before are forgotten")
	}))

	t.Run("another URL ends hold and breaker; what the old receiver still answers counts for nothing",
		bubble(func(t *testing.T) {
			w := newWorld(t, unordered, func(s *subscriptions.Subscription) { s.Timeout = 30 * time.Second })
			old := true
			w.answer = func(p push, rw http.ResponseWriter, _ *http.Request) {
				w.mu.Lock()
				fails := old
				w.mu.Unlock()
				if !fails {
					return
				}
				switch time.Sleep(time.Duration(p.seq) * 2 * time.Second); p.seq {
				case 1:
					rw.Header().Set("Retry-After", "3600")
					rw.WriteHeader(http.StatusServiceUnavailable)
				case 2:
					rw.WriteHeader(http.StatusGone)
				case 3:
					rw.Header().Set("Retry-After", "3000")
					rw.WriteHeader(http.StatusTooManyRequests)
				default:
					rw.WriteHeader(http.StatusBadGateway)
				}
			}
			w.accept(make([]int64, 8)...)
			w.run().after(3 * time.Second)
			require.Equal(t, "retryAfter", w.log().hold.Reason)
			w.mu.Lock()
			old = false
			w.mu.Unlock()
			w.move("http://other.test/")
			w.accept(0)
			w.after(30 * time.Second)
			require.Equal(t, Hold{}, w.log().hold)
			require.Empty(t, w.log().pauses, "the 410 was the old receiver's")
			require.NotContains(t, w.states(), "pending")
		}))

	t.Run("another URL ends no pause", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.answer = always(http.StatusGone)
		w.accept(7)
		w.run().after(time.Second)
		w.move("http://other.test/")
		w.after(time.Hour)
		require.Equal(t, []string{"1/1@0"}, w.sent())
		w.answer = always(http.StatusOK)
		w.resume()
		w.after(time.Second)
		require.Equal(t, []string{"delivered"}, w.states())
	}))

	t.Run("a hold that could not be written is written as soon as it can be", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(_ push, rw http.ResponseWriter, _ *http.Request) {
			w.trouble(errors.New("disk on fire"), nil)
			rw.Header().Set("Retry-After", "600")
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		w.accept(1)
		w.run().after(time.Minute)
		require.Empty(t, w.log().holds)
		w.trouble(nil, nil)
		w.after(10*time.Second + time.Second)
		require.Equal(t, "retryAfter", w.log().hold.Reason)
	}))

	t.Run("410 pauses; resumed it goes on with the same", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(p push, rw http.ResponseWriter, _ *http.Request) {
			if p.attempt == "1" && p.seq == 1 {
				rw.WriteHeader(http.StatusGone)
			}
		}
		w.accept(7)
		w.run().after(10 * time.Second)
		w.accept(7, 8)
		w.after(10 * time.Minute)
		require.Equal(t, []string{"gone"}, w.log().pauses)
		require.Equal(t, []string{"1/1@0"}, w.sent())
		w.resume()
		w.after(time.Second)
		require.ElementsMatch(t, []string{"1/1@0", "1/2@610", "2/1@610", "3/1@610"}, w.sent())
	}))

	t.Run("giveUpAfter ends what was tried and what never was", bubble(func(t *testing.T) {
		w := newWorld(t, schedule(hours(5)...), func(s *subscriptions.Subscription) {
			s.GiveUpAfter = map[event.Class]time.Duration{event.Live: 90 * time.Minute}
		})
		w.answer = always(http.StatusInternalServerError)
		w.accept(7)
		w.put(func(r *stored) { r.Key, r.GiveUpAt = 7, time.Now().Add(30*time.Minute).UnixMilli() })
		w.run().after(time.Hour + time.Second)
		require.Equal(t, []string{"1/1@0", "1/2@3600"}, w.sent())
		require.Equal(t, []string{"exhausted", "exhausted"}, w.states(), "at once: no try follows that would come too late")
		w.after(time.Hour)
		require.Len(t, w.seen(), 2)
		require.Equal(t, []string{"exhausted", "exhausted"}, w.states())
		require.Empty(t, w.log().rows[1].attempts)
	}))

	t.Run("time in pause does not count for giveUpAfter", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.index.Put(w.index.Get(1).Pause("admin", time.Now()))
		w.accept(1, 2, 3)
		w.run().after(3 * time.Hour)
		require.Empty(t, w.seen())
		require.Equal(t, []string{"pending", "pending", "pending"}, w.states())
		w.resume()
		w.after(time.Second)
		require.Len(t, w.seen(), 3)
		require.Equal(t, []string{"delivered", "delivered", "delivered"}, w.states())
	}))

	t.Run("a pause lets what is in flight end", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.Timeout = 10 * time.Second })
		w.answer = func(push, http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Second) }
		w.accept(7, 7)
		w.run().after(time.Second)
		w.change(func(s *subscriptions.Subscription) *subscriptions.Subscription { return s.Pause("admin", time.Now()) })
		w.after(time.Hour)
		require.Equal(t, []string{"1/1@0"}, w.sent())
		require.Equal(t, []string{"delivered", "pending"}, w.states())
	}))

	t.Run("another ordering waits for what is in flight, and loses and doubles nothing", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.Timeout = 10 * time.Second })
		w.answer = func(push, http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Second) }
		w.accept(7, 7, 7, 8)
		w.run().after(time.Second)
		w.change(func(s *subscriptions.Subscription) *subscriptions.Subscription { c := *s; unordered(&c); return &c })
		w.after(3 * time.Second)
		require.Len(t, w.seen(), 2)
		w.after(time.Minute)
		require.Equal(t, []string{"1/1@0", "2/1@5", "3/1@5", "4/1@0"}, sorted(w.sent()))
		w.change(func(s *subscriptions.Subscription) *subscriptions.Subscription {
			c := *s
			c.Ordering = subscriptions.OrderingKey
			return &c
		})
		w.accept(9, 9)
		w.after(time.Minute)
		seen := w.seen()
		require.Equal(t, []int{5, 6}, []int{seen[4].seq, seen[5].seq})
		require.Equal(t, 5*time.Second, (seen[5].after - seen[4].after).Round(time.Second))
		require.NotContains(t, w.states(), "pending")
	}))

	t.Run("deleted while in flight: that one is recorded, nothing else is sent", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.Timeout = 10 * time.Second })
		w.answer = func(push, http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Second) }
		w.accept(7, 7)
		w.run().after(time.Second)
		w.index.Remove(1)
		w.d.Nudge(1, 0)
		w.after(time.Minute)
		require.Equal(t, []string{"1/1@0"}, w.sent())
		require.Equal(t, []string{"delivered", "pending"}, w.states())
		require.Zero(t, w.d.Lanes())
	}))

	t.Run("a lane without work ends, and another begins", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.run()
		w.accept(7)
		w.after(time.Second)
		require.Equal(t, 1, w.d.Lanes())
		w.after(2 * idleFor)
		require.Zero(t, w.d.Lanes())
		w.accept(7)
		w.after(time.Second)
		require.Len(t, w.seen(), 2)
	}))

	t.Run("what no nudge spoke of is found within 10 s", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.run()
		w.accept(7)
		w.after(time.Second)
		w.put(func(r *stored) { r.Key = 7 })
		w.after(reconcileEvery)
		require.Len(t, w.seen(), 2)
	}))

	t.Run("the store has trouble and recovers", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.trouble(errors.New("disk on fire"), nil)
		w.run()
		w.accept(7, 7, 8)
		w.after(5 * time.Minute)
		require.Empty(t, w.seen())
		w.trouble(nil, nil)
		w.after(reconcileEvery + time.Second)
		require.Len(t, w.seen(), 3)

		// In the middle of its work.
		w.trouble(errors.New("disk on fire"), nil)
		w.accept(7, 8)
		w.after(time.Minute)
		w.trouble(nil, nil)
		w.after(2 * time.Second)
		require.Len(t, w.seen(), 5)
		require.NotContains(t, w.states(), "pending")
	}))

	t.Run("an outcome that is lost is sent again, and its key waits", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.trouble(nil, errors.New("no room"))
		w.accept(7, 7)
		w.run().after(time.Second)
		require.Equal(t, []string{"1/1@0"}, w.sent())
		w.trouble(nil, nil)
		w.after(time.Minute)
		require.Equal(t, []string{"1/1@0", "1/1@30", "2/1@30"}, w.sent())
		require.Equal(t, []string{"delivered", "delivered"}, w.states())
	}))

	t.Run("a stop lets requests end and launches none", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.Timeout = 30 * time.Second })
		w.answer = func(push, http.ResponseWriter, *http.Request) { time.Sleep(4 * time.Second) }
		w.accept(7, 7, 8)
		w.run().after(time.Second)
		w.end()
		require.Equal(t, 4*time.Second, time.Since(w.began).Round(time.Second))
		require.Equal(t, []string{"delivered", "pending", "delivered"}, w.states())
	}))

	t.Run("a stop does not wait for a store that cannot write", bubble(func(t *testing.T) {
		w := newWorld(t)
		w.trouble(nil, errStuck)
		w.accept(7, 7, 8)
		w.run().after(time.Second)
		require.Len(t, w.seen(), 2)
		w.end()
		require.Equal(t, 6*time.Second, time.Since(w.began).Round(time.Second))
	}))

	t.Run("a stop does not wait for those who hang", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.Timeout = 30 * time.Second })
		w.answer = hang
		w.accept(7, 8)
		w.run().after(time.Second)
		w.end()
		require.Equal(t, 6*time.Second, time.Since(w.began).Round(time.Second))
		require.Equal(t, []string{"pending", "pending"}, w.states())
		require.Empty(t, w.log().rows[0].attempts, "cut off by us: that says nothing of the receiver")
	}))
}

func sorted[T cmp.Ordered](s []T) []T {
	slices.Sort(s)
	return s
}

// hours is a schedule of n steps of an hour.
func hours(n int) []time.Duration { return slices.Repeat([]time.Duration{time.Hour}, n) }
