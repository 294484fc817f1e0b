package delivery

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

// replayModel is a model whose store also has runs of replays, each of replay 1 or 2.
type replayModel struct {
	*model
	p      *replays
	sent   []*Item // runs of replays that are out
	paused map[int64]bool
}

// add puts a run of a replay into the store.
func (m *replayModel) add(id ID, key, replay int64) {
	if m.rows[id] == nil {
		m.rows[id] = &row{Item: Item{ID: id, Key: key, Type: event.CDRCall, Replay: replay}}
	}
}

// readReplays does what the runner does when replays may have changed.
func (m *replayModel) readReplays() {
	var items []*Item
	for _, r := range m.rows {
		if r.OfReplay() && !r.done && !m.paused[r.Replay] {
			it := r.Item
			items = append(items, &it)
		}
	}
	slices.SortFunc(items, func(a, b *Item) int { return a.Compare(b.ID) })
	m.p.set(items)
}

// takeLive takes a live run, and checks that no replay has the key.
func (m *replayModel) takeLive() {
	before := len(m.out)
	m.take()
	if len(m.out) == before {
		return
	}
	it := m.out[before]
	for _, o := range m.sent {
		if m.ordered && it.Key != 0 && !it.Late && !o.Late {
			require.NotEqual(m.t, o.Key, it.Key, "%v went although %v of a replay is out", it.ID, o.ID)
		}
	}
}

// takeReplay takes a run of a replay as the runner does, and checks all that it must
// wait for.
func (m *replayModel) takeReplay() bool {
	if len(m.l.ready) > 0 || !m.l.end {
		return false
	}
	i := m.p.find(m.l, m.now)
	if i < 0 {
		return false
	}
	it := m.p.next(m.l, i)
	r := m.rows[it.ID]
	require.False(m.t, r.done, "%v was given out after it had ended", it.ID)
	require.LessOrEqual(m.t, it.DueAt, m.now)
	require.False(m.t, m.paused[it.Replay], "%v is of a replay that is paused", it.ID)

	for _, o := range slices.Concat(m.out, m.sent) {
		require.NotEqual(m.t, o.ID, it.ID, "%v is out twice", it.ID)
	}
	if m.ordered && it.Key != 0 && !it.Late {
		for _, o := range slices.Concat(m.out, m.sent) {
			require.False(m.t, !o.Late && o.Key == it.Key, "%v and %v of a key are out", o.ID, it.ID)
		}
		for id, other := range m.rows {
			aside := other.Late || other.AsideAt > 0 && other.AsideAt <= m.now
			if other.done || other.Key != it.Key || aside || id == it.ID || m.paused[other.Replay] {
				continue
			}
			require.True(m.t, other.OfReplay(), "%v of a replay went although %v is pending live", it.ID, id)
			require.True(m.t, less(it.ID, id), "%v of a replay went before %v", it.ID, id)
		}
	}
	m.sent = append(m.sent, it)
	return true
}

func (m *replayModel) finishReplay(i int, v Verdict) {
	it := m.sent[i]
	m.sent = slices.Delete(m.sent, i, i+1)
	r := m.rows[it.ID]
	if v.State == Pending {
		r.Tries, r.DueAt, r.AsideAt, r.Late = r.Tries+1, v.DueAt, v.AsideAt, it.Late
	} else {
		r.done = true
	}
	m.p.done(m.l, it, v, m.now)
	if v.State == Pending {
		m.readReplays()
	}
}

// verdict draws what becomes of a run.
func (m *replayModel) verdict(t *rapid.T, it *Item) Verdict {
	v := Verdict{State: Delivered}
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		v = Verdict{State: Exhausted}
	case 1:
		v = Verdict{State: Pending, AsideAt: m.rows[it.ID].AsideAt}
		v.DueAt = m.now + rapid.Int64Range(1, 100).Draw(t, "wait")
		if refused := rapid.Bool().Draw(t, "refused as bad"); refused && v.AsideAt == 0 {
			v.AsideAt = m.now + 60
		}
	}
	return v
}

// Beside any order of live events, runs of replays go out one at a time of a key, in
// the order of their events, and only while nothing live of the key is pending. Live
// runs wait for no more of a replay than what is in flight.
func TestReplaysProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ordered := rapid.Bool().Draw(t, "ordered")
		replace := ordered && rapid.Bool().Draw(t, "supersede")
		live := &model{t: t, ordered: ordered, replace: replace, l: newLane(ordered, replace), now: 1, rows: map[ID]*row{}}
		m := &replayModel{model: live, p: newReplays(), paused: map[int64]bool{}}
		rows := rapid.IntRange(1, 6).Draw(t, "rows of a refill")
		t.Repeat(map[string]func(*rapid.T){
			"accept": func(t *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(t, "n") {
					m.accept(rapid.Int64Range(0, 3).Draw(t, "key"))
				}
			},
			"replay": func(t *rapid.T) { // of events that have ended, and of some that were never sent
				for id, r := range m.rows {
					if r.done && id.Run == 0 && rapid.Bool().Draw(t, "replayed") {
						m.add(ID{Sub: 1, Seq: id.Seq, Run: 2}, r.Key, rapid.Int64Range(1, 2).Draw(t, "replay"))
					}
				}
				m.seq++
				m.add(ID{Sub: 1, Seq: m.seq}, rapid.Int64Range(0, 3).Draw(t, "key"), 1)
				m.readReplays()
			},
			"pause or resume": func(t *rapid.T) {
				replay := rapid.Int64Range(1, 2).Draw(t, "replay")
				m.paused[replay] = !m.paused[replay]
				m.readReplays()
			},
			"read":      func(*rapid.T) { m.read(rows) },
			"supersede": func(*rapid.T) { m.supersede() },
			"take live": func(*rapid.T) { m.takeLive() },
			"take of a replay": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "n") {
					m.takeReplay()
				}
			},
			"give back": func(t *rapid.T) {
				if len(m.sent) > 0 {
					i := rapid.IntRange(0, len(m.sent)-1).Draw(t, "which")
					m.p.putBack(m.l, m.sent[i], m.now)
					m.sent = slices.Delete(m.sent, i, i+1)
					m.readReplays()
				}
			},
			"finish": func(t *rapid.T) {
				if len(m.out) > 0 {
					i := rapid.IntRange(0, len(m.out)-1).Draw(t, "which")
					m.finish(i, m.verdict(t, m.out[i]))
				}
			},
			"finish of a replay": func(t *rapid.T) {
				if len(m.sent) > 0 {
					i := rapid.IntRange(0, len(m.sent)-1).Draw(t, "which")
					m.finishReplay(i, m.verdict(t, m.sent[i]))
				}
			},
			"give up": func(t *rapid.T) {
				over := rapid.Int64Range(0, m.seq).Draw(t, "below")
				for _, it := range m.p.takeExpired(func(it *Item) bool { return it.Seq < over }, 3) {
					m.rows[it.ID].done = true
					m.p.done(m.l, it, Verdict{State: Exhausted}, m.now)
				}
			},
			"time": func(t *rapid.T) {
				m.now += rapid.Int64Range(1, 80).Draw(t, "ms")
				m.l.wake(m.now)
			},
			"crash": func(*rapid.T) {
				m.restart()
				m.p, m.sent = newReplays(), nil
				m.readReplays()
			},
			"": func(*rapid.T) { m.check() },
		})

		// What is live comes out without a further run of a replay, then the replays do.
		clear(m.paused)
		m.readReplays()
		for len(m.sent) > 0 {
			m.finishReplay(0, Verdict{State: Delivered})
		}
		for range 10_000 {
			m.read(rows)
			m.supersede()
			m.now += 10
			m.l.wake(m.now)
			for range 8 {
				m.takeLive()
			}
			for len(m.out) > 0 {
				m.finish(0, Verdict{State: Delivered})
			}
			if m.l.idle() {
				break
			}
		}
		for id, r := range m.rows {
			require.True(t, r.done || r.OfReplay(), "%v was never given out", id)
		}
		for range 10_000 {
			m.now += 10
			if m.takeReplay() {
				m.finishReplay(0, Verdict{State: Delivered})
			}
			if m.p.idle() {
				break
			}
		}
		for id, r := range m.rows {
			require.True(t, r.done, "%v was never given out", id)
		}
		require.Empty(t, m.l.keys)
	})
}

// replayed puts pending runs of a replay into the store.
func (w *world) replayed(keys ...int64) {
	for _, key := range keys {
		w.put(func(r *stored) { r.Key, r.Run, r.Replay = key, 1, 1 })
	}
	if w.d != nil {
		w.d.Nudge(1, Nudge{Replays: true}.Encode())
	}
}

func inFlight(n int) func(*subscriptions.Subscription) {
	return func(s *subscriptions.Subscription) { s.MaxInFlight = n }
}

// Of several slots a replay leaves one free; a single one it takes only while nothing
// live is ready. Its pushes say that they are replays.
func TestReplaysAndSlots(t *testing.T) {
	t.Run("one stays free", bubble(func(t *testing.T) {
		w := newWorld(t, inFlight(3))
		w.answer = hang
		w.replayed(0, 0, 0, 0)
		w.run()
		synctest.Wait()
		require.Equal(t, 2, w.inFlight())
		w.accept(0)
		synctest.Wait()
		require.Equal(t, 3, w.inFlight(), "the live one goes at once")
	}))
	t.Run("live ones first", bubble(func(t *testing.T) {
		w := newWorld(t, inFlight(1))
		w.answer = func(push, http.ResponseWriter, *http.Request) { time.Sleep(300 * time.Millisecond) }
		w.replayed(0, 0, 0)
		w.accept(0, 0)
		w.run()
		time.Sleep(150 * time.Millisecond)
		w.accept(0)
		time.Sleep(850 * time.Millisecond)
		w.accept(0) // while a run of the replay is in flight
		time.Sleep(time.Minute)
		var order []int
		for _, p := range w.seen() {
			order = append(order, p.seq)
		}
		require.Equal(t, []int{4, 5, 6, 1, 7, 2, 3}, order)
		for _, r := range w.log().rows {
			require.Equal(t, Delivered, r.state)
			require.Equal(t, r.Replay > 0, r.attempts[0].Replay)
		}
	}))
	t.Run("one of a key", bubble(func(t *testing.T) {
		w := newWorld(t, inFlight(8))
		w.answer = func(push, http.ResponseWriter, *http.Request) { time.Sleep(300 * time.Millisecond) }
		w.replayed(7, 7)
		w.run()
		time.Sleep(150 * time.Millisecond)
		w.accept(7)
		time.Sleep(time.Minute)
		var order []int
		for _, p := range w.seen() {
			require.Equal(t, 1, p.open)
			order = append(order, p.seq)
		}
		require.Equal(t, []int{1, 3, 2}, order)
	}))
}

// A run of a replay is retried by its schedule, while live runs of its key go on. It
// does not expire, and is given up like any other.
func TestReplaysEnd(t *testing.T) {
	t.Run("retried", bubble(func(t *testing.T) {
		w := newWorld(t, func(s *subscriptions.Subscription) { s.ExpiresAfter = time.Second })
		w.answer = func(p push, rw http.ResponseWriter, _ *http.Request) {
			if p.seq == 1 && p.after < 10*time.Second {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
		}
		w.replayed(7, 7)
		w.run()
		time.Sleep(2 * time.Second)
		w.accept(7)
		time.Sleep(5 * time.Minute)
		require.Equal(t, []string{"delivered", "delivered", "delivered"}, w.states())
		var order []int
		for _, p := range w.seen() {
			order = append(order, p.seq)
		}
		require.Equal(t, []int{1, 1, 3, 1, 1, 2}, order, "the live one waits for no retry, the second of the replay does")
	}))
	t.Run("given up", bubble(func(t *testing.T) {
		w := newWorld(t, schedule(hours(20)...))
		w.answer = always(http.StatusServiceUnavailable)
		w.replayed(7)
		w.run()
		time.Sleep(25 * time.Hour)
		require.Equal(t, []string{"exhausted"}, w.states())
	}))
}

// What ended without the lane is forgotten by it once it hears so.
func TestLaneReadsAgain(t *testing.T) {
	bubble(func(t *testing.T) {
		w := newWorld(t, inFlight(1))
		w.answer = func(push, http.ResponseWriter, *http.Request) { time.Sleep(300 * time.Millisecond) }
		w.accept(0, 0, 0, 0)
		w.run()
		time.Sleep(450 * time.Millisecond) // the second one is in flight
		w.mu.Lock()
		w.rows[2].state = Cancelled
		w.mu.Unlock()
		w.d.Nudge(1, Nudge{Again: true}.Encode())
		time.Sleep(time.Minute)
		require.Equal(t, []string{"delivered", "delivered", "cancelled", "delivered"}, w.states())
		require.Len(t, w.seen(), 3)
	})(t)
}

func TestNudge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Nudge{
			From: rapid.Int64Range(0, 1<<60).Draw(t, "from"), Replays: rapid.Bool().Draw(t, "replays"),
			Again: rapid.Bool().Draw(t, "again"),
		}
		require.Equal(t, n, DecodeNudge(n.Encode()))
		require.Equal(t, n, n.And(Nudge{}))
		require.Equal(t, n, Nudge{}.And(n))
	})
	require.Equal(t, int64(5), Nudge{From: 5}.Encode())
	both := Nudge{From: 5, Replays: true}.And(Nudge{From: 3, Again: true})
	require.Equal(t, Nudge{From: 3, Replays: true, Again: true}, both)
}
