package delivery

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/event"
)

// model is a store of pending rows as simple as can be, with a clock that the
// test turns, and the record of what a receiver saw.
type model struct {
	t       require.TestingT
	l       *lane
	ordered bool
	replace bool
	now     int64
	seq     int64
	rows    map[ID]*row
	out     []*Item
}

type row struct {
	Item
	done bool
}

func (m *model) pending(after ID, upTo int64, key int64, limit int) []*Item {
	var items []*Item
	for _, r := range m.rows {
		if r.done || r.OfReplay() || less(r.ID, after) || r.ID == after || upTo > 0 && r.Seq > upTo || key != 0 && r.Key != key {
			continue
		}
		it := r.Item // what the store knows, not what the lane made of it
		items = append(items, &it)
	}
	slices.SortFunc(items, func(a, b *Item) int {
		if less(a.ID, b.ID) {
			return -1
		}
		return 1
	})
	return items[:min(len(items), limit)]
}

func less(a, b ID) bool { return a.Seq < b.Seq || a.Seq == b.Seq && a.Run < b.Run }

// read does what the runner does.
func (m *model) read(rows int) {
	for len(m.l.free) > 0 {
		f := m.l.free[0]
		m.l.readKey(m.pending(f.after, m.l.cursor.Seq, f.key, 2), 2, m.now)
	}
	for m.l.wantsRows() {
		m.l.refill(m.pending(m.l.cursor, 0, 0, rows), rows, m.now)
	}
}

func (m *model) accept(key int64) {
	m.seq++
	id := ID{Sub: 1, Seq: m.seq}
	m.rows[id] = &row{Item: Item{ID: id, Key: key, Type: event.CDRCall}}
	m.l.nudge(0)
}

func (m *model) take() {
	it := m.l.next()
	if it == nil {
		return
	}
	r := m.rows[it.ID]
	require.NotNil(m.t, r)
	require.False(m.t, r.done, "%v was given out after it had ended", it.ID)
	require.LessOrEqual(m.t, it.DueAt, m.now, "%v was given out before it was due", it.ID)
	for _, o := range m.out {
		require.NotEqual(m.t, o.ID, it.ID, "%v is out twice", it.ID)
		if m.ordered && it.Key != 0 && !it.Late && !o.Late {
			require.NotEqual(m.t, o.Key, it.Key, "two of a key are out: %v and %v", o.ID, it.ID)
		}
	}
	if m.ordered && it.Key != 0 && !it.Late {
		for id, other := range m.rows {
			if !other.done && !other.OfReplay() && other.Key == it.Key && less(id, it.ID) && id.Run == 0 {
				require.True(m.t, other.AsideAt > 0 && other.AsideAt <= m.now,
					"%v was given out although %v of its key comes first", it.ID, id)
			}
		}
	}
	m.out = append(m.out, it)
}

func (m *model) finish(i int, v Verdict) {
	it := m.out[i]
	m.out = slices.Delete(m.out, i, i+1)
	r := m.rows[it.ID]
	if v.State == Pending {
		r.Tries, r.DueAt, r.AsideAt, r.Late = r.Tries+1, v.DueAt, v.AsideAt, it.Late
		it.Tries++
	} else {
		r.done = true
	}
	m.l.done(it, v, m.now)
}

// restart is a crash: what was out is forgotten, the store is all there is.
func (m *model) restart() {
	m.l, m.out = newLane(m.ordered, m.replace), nil
	var waiting []*Item
	for _, it := range m.pending(ID{}, 0, 0, 1<<30) {
		if it.Tries > 0 {
			waiting = append(waiting, it)
		}
	}
	for _, it := range waiting {
		m.l.add(it, m.now)
	}
}

// check: every pending row at or below the cursor is known, or behind a held key.
func (m *model) check() {
	for id, r := range m.rows {
		if r.done || r.OfReplay() || less(m.l.cursor, id) || m.l.ids[id] {
			continue
		}
		held := m.l.keys[r.Key]
		require.True(m.t, r.Key != 0 && held != nil && held.behind, "%v is forgotten", id)
	}
	queued := 0
	for _, k := range m.l.keys {
		queued += len(k.queue)
	}
	require.Equal(m.t, queued, m.l.queued)
	require.Len(m.t, m.out, m.l.flight)
	require.Equal(m.t, len(m.l.ids), len(m.l.ready)+len(m.l.waiting)+queued+len(m.out)+len(m.l.replaced))
	for _, k := range m.l.keys {
		require.True(m.t, k.holder == nil || m.l.ids[k.holder.ID])
	}
}

// supersede ends the runs that gave way.
func (m *model) supersede() {
	for _, r := range m.l.takeReplaced(3) {
		later := m.rows[ID{Sub: 1, Seq: r.by}]
		require.True(m.t, m.replace && later != nil && later.Key == r.Key && r.by > r.Seq, "%v gave way to %d", r.ID, r.by)
		for _, o := range m.out {
			require.NotEqual(m.t, o.ID, r.ID, "%v gave way in flight", r.ID)
		}
		m.rows[r.ID].done = true
		m.l.done(r.Item, Verdict{State: Superseded}, m.now)
	}
}

func TestLaneProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ordered := rapid.Bool().Draw(t, "ordered")
		replace := ordered && rapid.Bool().Draw(t, "supersede")
		m := &model{t: t, ordered: ordered, replace: replace, l: newLane(ordered, replace), now: 1, rows: map[ID]*row{}}
		rows := rapid.IntRange(1, 6).Draw(t, "rows of a refill")
		t.Repeat(map[string]func(*rapid.T){
			"accept": func(t *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "n") {
					m.accept(rapid.Int64Range(0, 3).Draw(t, "key"))
				}
			},
			"read":      func(*rapid.T) { m.read(rows) },
			"supersede": func(*rapid.T) { m.supersede() },
			"take": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "n") {
					m.take()
				}
			},
			"finish": func(t *rapid.T) {
				if len(m.out) == 0 {
					return
				}
				i := rapid.IntRange(0, len(m.out)-1).Draw(t, "which")
				v := Verdict{State: Delivered}
				switch rapid.IntRange(0, 3).Draw(t, "how") {
				case 0:
					v = Verdict{State: Pending, DueAt: m.now + rapid.Int64Range(1, 100).Draw(t, "wait"), AsideAt: m.rows[m.out[i].ID].AsideAt}
				case 1: // refused as bad
					v = Verdict{State: Pending, DueAt: m.now + rapid.Int64Range(1, 100).Draw(t, "wait"), AsideAt: m.rows[m.out[i].ID].AsideAt}
					if v.AsideAt == 0 {
						v.AsideAt = m.now + 60
					}
				case 2:
					v = Verdict{State: Exhausted}
				}
				m.finish(i, v)
			},
			"time": func(t *rapid.T) {
				m.now += rapid.Int64Range(1, 80).Draw(t, "ms")
				m.l.wake(m.now)
			},
			"again": func(t *rapid.T) { // a row may have become visible below others
				if m.seq > 0 {
					m.l.nudge(rapid.Int64Range(1, m.seq).Draw(t, "from"))
				}
			},
			"retry by hand": func(t *rapid.T) {
				for id, r := range m.rows {
					if r.done && id.Run == 0 {
						id.Run = 1
						if m.rows[id] == nil {
							m.rows[id] = &row{Item: Item{ID: id, Key: r.Key, Type: r.Type}}
							m.l.nudge(id.Seq)
						}
						return
					}
				}
			},
			"crash": func(*rapid.T) { m.restart() },
			"":      func(*rapid.T) { m.check() },
		})
		// Whatever happened, everything comes out in the end.
		for range 10_000 {
			m.read(rows)
			m.supersede()
			m.now += 10
			m.l.wake(m.now)
			for range 8 {
				m.take()
			}
			for len(m.out) > 0 {
				m.finish(0, Verdict{State: Delivered})
			}
			if m.l.idle() {
				break
			}
		}
		for id, r := range m.rows {
			require.True(t, r.done, "%v was never given out", id)
		}
	})
}

// A key that has more rows than the queue may hold comes out whole and in order.
func TestLaneLongKey(t *testing.T) {
	for _, n := range []int{queuedMax, queuedMax + 1, queuedMax + 2*keyRows + 3} {
		m := &model{t: t, ordered: true, l: newLane(true, false), now: 1, rows: map[ID]*row{}}
		for range n {
			m.accept(7)
		}
		m.accept(8)
		var got []int64
		for len(got) < n+1 {
			m.read(readyMax)
			m.check()
			before := len(got)
			for m.take(); len(m.out) > 0; m.take() {
				got = append(got, m.out[0].Seq)
				m.finish(0, Verdict{State: Delivered})
				m.read(readyMax)
			}
			require.Greater(t, len(got), before, "the lane is stuck")
		}
		of7 := slices.DeleteFunc(slices.Clone(got), func(s int64) bool { return s == int64(n+1) })
		require.True(t, slices.IsSorted(of7))
	}
}

func TestResultOf(t *testing.T) {
	for status, want := range map[int]Result{
		200: Taken, 202: Taken, 204: Taken, 299: Taken, 410: Gone,
		400: Refused, 405: Refused, 409: Refused, 413: Refused, 415: Refused, 422: Refused,
		401: Failed, 403: Failed, 404: Failed, 408: Failed, 429: Failed, 500: Failed, 503: Failed, 301: Failed, 0: Failed,
	} {
		a := &Attempt{StatusCode: status}
		switch {
		case status >= 300 && status < 400:
			a.Class = Redirect
		case status >= 400:
			a.Class = Status
		case status == 0:
			a.Class = Connect
		}
		require.Equal(t, want, ResultOf(a), status)
	}
}

func TestPublicID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sub := rapid.Int64Range(1, 1<<48-1).Draw(t, "sub")
		seq := rapid.Int64Range(1, 1<<62).Draw(t, "seq")
		at := rapid.Int64Range(0, 65535*86_400_000).Draw(t, "at")
		gotSub, gotSeq, day, err := ParseID(PublicID(sub, seq, at))
		require.NoError(t, err)
		require.Equal(t, []int64{sub, seq, at / 86_400_000}, []int64{gotSub, gotSeq, day})
	})
}

func FuzzParseID(f *testing.F) {
	f.Add(PublicID(1, 2, 3))
	f.Add("dlv_")
	f.Fuzz(func(t *testing.T, s string) {
		if sub, seq, day, err := ParseID(s); err == nil {
			require.Equal(t, s, PublicID(sub, seq, day*86_400_000))
		}
	})
}
