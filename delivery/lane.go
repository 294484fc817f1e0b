package delivery

import (
	"container/heap"
	"slices"

	"github.com/hookline/hookline/hub/event"
)

// Bounds of what a lane keeps in memory.
const (
	readyMax  = 256    // runs that are ready to be sent; also the rows of one refill
	queuedMax = 1024   // runs kept behind a held key, over all keys; the rest stay in the store
	heldMax   = 10_000 // keys held, and runs that wait; when full, nothing more is read
)

// lane keeps what the owner of a subscription knows of its pending runs, and
// decides which may be sent next. It has no clock, no database and no
// goroutine: time comes in, rows come in, runs come out.
//
//	       refill (rows past the cursor, in order)
//	          │ key free            │ key held
//	          ▼                     ▼
//	Next ◀─ ready           queue of the key ─ full: "behind", left in the store
//	  │       ▲                     │
//	  ▼       │ due                 │ key comes free: its next run, from the
//	flight ─ Done ─▶ waiting        │ queue, else read again from the store
//	          │                     │
//	          └─ ended: key free ◀──┘
//
// Every pending row at or below the cursor is in ready, in flight, waiting, in
// the queue of a key, or in the store behind a key that is held. So nothing is
// forgotten, and at most one run of an order key is out: the earliest.
type lane struct {
	ordered   bool
	supersede bool     // a waiting CDR gives way to a correction of the same record
	ready     itemHeap // by event number
	waiting   dueHeap  // by the time at which something happens to them
	ids       map[ID]bool
	keys      map[int64]*heldKey
	free      []freeKey // keys that came free while more of their rows are in the store
	queued    int       // runs in the queues of all keys
	flight    int
	replaced  []replaced // runs that gave way to a correction; takeReplaced takes them
	cursor    ID         // Seq and Run of the last row read
	end       bool       // there was no row past the cursor at the last read
}

// heldKey is an order key with a run that is ready, in flight or waiting.
type heldKey struct {
	holder *Item   // that run; nil while the store is read for the next, or while runs are leaving
	queue  []*Item // the next runs of this key, in order
	behind bool    // more runs of this key are in the store, after those of queue
	// leaving counts the runs that gave way to a correction, until that is recorded.
	// The key stays held so long: after a crash they would be sent, after their
	// correction.
	leaving int
}

// replaced is a run that gave way to the correction in event by.
type replaced struct {
	*Item
	by int64
}

func newLane(ordered, supersede bool) *lane {
	return &lane{ordered: ordered, supersede: supersede && ordered, ids: map[ID]bool{}, keys: map[int64]*heldKey{}}
}

// wantsRows reports whether the rows past the cursor should be read.
func (l *lane) wantsRows() bool {
	return !l.end && len(l.ready) < readyMax/2 && len(l.keys) < heldMax && len(l.waiting) < heldMax
}

// refill takes the rows that were read past the cursor, in order. Fewer rows
// than asked for mean that there are no more.
func (l *lane) refill(rows []*Item, asked int, now int64) {
	for _, it := range rows {
		l.cursor = it.ID
		l.add(it, now)
	}
	l.end = len(rows) < asked
}

// keysOf lists the order keys that rows hold, each once.
func (l *lane) keysOf(rows []*Item) (keys []int64) {
	for _, it := range rows {
		if key := l.keyOf(it); key != 0 && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// earlier takes rows of order keys at or below the cursor, in order. As many rows
// of a key as asked for mean that there may be more. Such rows exist where a lower
// number can be committed after a higher one, when the cursor has passed.
//
// An event posted after another was acknowledged never becomes visible before it.
// So it is enough to fetch, whenever a row past the cursor shows up, the earlier
// rows of its key.
func (l *lane) earlier(rows []*Item, asked int, now int64) {
	of := map[int64]int{}
	for _, it := range rows {
		l.add(it, now)
		if key := l.keyOf(it); key != 0 {
			if of[key]++; of[key] == asked && l.keys[key] != nil {
				l.keys[key].behind = true
			}
		}
	}
}

// nudge notes that there are rows past the cursor. With from > 0 the lane reads
// again from that event on.
func (l *lane) nudge(from int64) {
	l.end = false
	if from > 0 && from <= l.cursor.Seq {
		l.cursor = ID{Seq: from - 1, Run: int(^uint(0) >> 1)}
	}
}

// add takes a row that was read. A row that is known already is not taken twice.
func (l *lane) add(it *Item, now int64) {
	if l.ids[it.ID] {
		return
	}
	l.step(it, now)

	if key := l.keyOf(it); key != 0 {
		if l.supersede && it.Type.Class() == event.CDR && it.Run == 0 {
			l.giveWay(it)
		}

		if held := l.keys[key]; held != nil {
			if held.holder == nil && len(held.queue) == 0 && !held.behind && held.leaving == 0 {
				held.holder = it
				l.ids[it.ID] = true
				l.place(it, now)
				return
			}
			// It waits behind the holder. In the store, if there is no room for it here,
			// or if runs that come before it are there.
			if held.behind || l.queued >= queuedMax {
				held.behind = true
				return
			}
			held.queue = append(held.queue, it)
			l.queued++
			l.ids[it.ID] = true
			return
		}
		l.keys[key] = &heldKey{holder: it}
	}

	l.ids[it.ID] = true
	l.place(it, now)
}

// giveWay takes out the earlier runs of the record that it corrects: those in the
// queue, the holder unless it is in flight, and those that stepped aside.
func (l *lane) giveWay(it *Item) {
	earlier := func(old *Item) bool { return old.Key == it.Key && old.Seq < it.Seq && old.Run == 0 }

	// Those that hold the key, or wait for it.
	if held := l.keys[it.Key]; held != nil {
		held.queue = slices.DeleteFunc(held.queue, func(old *Item) bool {
			if !earlier(old) {
				return false
			}
			l.queued--
			held.leaving++
			l.replaced = append(l.replaced, replaced{old, it.Seq})
			return true
		})
		if old := held.holder; old != nil && earlier(old) && len(held.queue) == 0 && l.unplace(old) {
			l.replaced = append(l.replaced, replaced{old, it.Seq})
			held.holder = nil
			held.leaving++
		}
	}

	// Those that stepped aside, which hold no key.
	waiting := len(l.waiting)
	l.waiting = slices.DeleteFunc(l.waiting, func(d dueItem) bool {
		if !d.Late || !earlier(d.Item) {
			return false
		}
		l.replaced = append(l.replaced, replaced{d.Item, it.Seq})
		return true
	})
	if len(l.waiting) < waiting {
		heap.Init(&l.waiting)
	}
}

// unplace takes a run out of ready or waiting. It returns false if the run is in
// flight.
func (l *lane) unplace(it *Item) bool {
	if i := slices.Index(l.ready, it); i >= 0 {
		heap.Remove(&l.ready, i)
		return true
	}
	if i := slices.IndexFunc(l.waiting, func(d dueItem) bool { return d.Item == it }); i >= 0 {
		heap.Remove(&l.waiting, i)
		return true
	}
	return false
}

// takeReplaced takes out up to most runs that gave way. They count as in flight
// until done is called for them.
func (l *lane) takeReplaced(most int) []replaced {
	n := min(most, len(l.replaced))
	out := slices.Clone(l.replaced[:n])
	l.replaced = slices.Delete(l.replaced, 0, n)
	l.flight += n
	return out
}

// replaceAgain takes back a run that gave way, but whose end could not be recorded.
func (l *lane) replaceAgain(r replaced) {
	l.flight--
	l.replaced = append(l.replaced, r)
}

// keyOf returns the order key that a run holds; 0 if it holds no key, as after it
// stepped aside.
func (l *lane) keyOf(it *Item) int64 {
	if !l.ordered || it.Late {
		return 0
	}
	return it.Key
}

// step lets a run step aside when its time to hold its key is over.
func (l *lane) step(it *Item, now int64) {
	if it.AsideAt > 0 && it.AsideAt <= now && l.ordered {
		it.Late = true
	}
}

// place puts a run among those that are ready or that wait.
func (l *lane) place(it *Item, now int64) {
	if it.DueAt > now {
		heap.Push(&l.waiting, dueItem{it, l.eventAt(it)})
		return
	}
	heap.Push(&l.ready, it)
}

// eventAt returns when a waiting run is due or steps aside, whichever comes first.
func (l *lane) eventAt(it *Item) int64 {
	if l.keyOf(it) != 0 && it.AsideAt > 0 {
		return min(it.DueAt, it.AsideAt)
	}
	return it.DueAt
}

// wake moves the runs whose time has come. It returns the time of the next one,
// or 0 if no run waits.
func (l *lane) wake(now int64) int64 {
	for len(l.waiting) > 0 && l.waiting[0].at <= now {
		it := heap.Pop(&l.waiting).(dueItem).Item
		if key := l.keyOf(it); key != 0 && it.DueAt > now {
			l.step(it, now)
			l.release(key, now)
		}
		l.place(it, now)
	}
	if len(l.waiting) == 0 {
		return 0
	}
	return l.waiting[0].at
}

// next takes the earliest run that may be sent; nil if there is no such run.
func (l *lane) next() *Item {
	if len(l.ready) == 0 {
		return nil
	}
	l.flight++
	return heap.Pop(&l.ready).(*Item)
}

// putBack takes back a run that next gave out, but that was not attempted.
func (l *lane) putBack(it *Item) {
	l.flight--
	heap.Push(&l.ready, it)
}

// done takes back a run that next gave out, after its outcome was committed.
func (l *lane) done(it *Item, v Verdict, now int64) {
	l.flight--
	if v.State == Pending {
		it.DueAt, it.AsideAt = v.DueAt, v.AsideAt
		if key := l.keyOf(it); key != 0 {
			if l.step(it, now); it.Late {
				l.release(key, now)
			}
		}
		l.place(it, now)
		return
	}

	// It has ended: the next run of its key may go.
	delete(l.ids, it.ID)
	key := l.keyOf(it)
	if key == 0 {
		return
	}
	if v.State == Superseded {
		// It held the key no longer. The next run waits until all that left are recorded.
		held := l.keys[key]
		if held.leaving--; held.leaving > 0 || held.holder != nil {
			return
		}
	}
	l.release(key, now)
}

// release lets the next run of a key go.
func (l *lane) release(key int64, now int64) {
	held := l.keys[key]
	if held == nil {
		return
	}
	if held.leaving > 0 { // the last run that leaves lets the next one go
		held.holder = nil
		return
	}

	// From the queue.
	if len(held.queue) > 0 {
		it := held.queue[0]
		held.queue[0] = nil
		held.queue = held.queue[1:]
		held.holder = it
		l.queued--
		l.step(it, now)
		l.place(it, now)
		if l.keyOf(it) == 0 { // it stepped aside long ago, and holds nothing up
			l.release(key, now)
		}
		return
	}

	// From the store; the key stays held until its rows were read.
	held.holder = nil
	if held.behind {
		l.free = append(l.free, freeKey{key: key})
		return
	}
	delete(l.keys, key)
}

// freeKey asks for the rows of a key after a run and up to the cursor.
type freeKey struct {
	key   int64
	after ID
}

// readKey takes the rows that l.free[0] asks for, in order. Fewer rows than asked
// for mean that there are no more.
func (l *lane) readKey(rows []*Item, asked int, now int64) {
	key := l.free[0].key
	l.free = slices.Delete(l.free, 0, 1)
	delete(l.keys, key)
	for _, it := range rows {
		l.add(it, now)
	}
	if len(rows) < asked {
		return
	}
	if l.keys[key] == nil { // all these rows stepped aside before: look behind them
		l.keys[key] = &heldKey{behind: true}
		l.free = append(l.free, freeKey{key, rows[len(rows)-1].ID})
		return
	}
	l.keys[key].behind = true
}

// idle reports whether nothing is known and nothing more is to be read.
func (l *lane) idle() bool {
	return l.end && len(l.ids) == 0 && l.flight == 0 && len(l.free) == 0 && len(l.replaced) == 0
}

// takeExpired takes out up to most runs that should not be tried any more, as
// over says. They count as in flight until done is called for them.
func (l *lane) takeExpired(over func(*Item) bool, most int) []*Item {
	var out []*Item
	l.ready = slices.DeleteFunc(l.ready, func(it *Item) bool {
		if len(out) < most && over(it) {
			out = append(out, it)
			return true
		}
		return false
	})
	l.waiting = slices.DeleteFunc(l.waiting, func(d dueItem) bool {
		if len(out) < most && over(d.Item) {
			out = append(out, d.Item)
			return true
		}
		return false
	})
	if len(out) > 0 {
		heap.Init(&l.ready)
		heap.Init(&l.waiting)
		l.flight += len(out)
	}
	return out
}

type itemHeap []*Item

func (h itemHeap) Len() int { return len(h) }
func (h itemHeap) Less(i, j int) bool {
	return h[i].Seq < h[j].Seq || h[i].Seq == h[j].Seq && h[i].Run < h[j].Run
}
func (h itemHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *itemHeap) Push(x any)   { *h = append(*h, x.(*Item)) }
func (h *itemHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return it
}

type dueItem struct {
	*Item
	at int64
}

type dueHeap []dueItem

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(dueItem)) }
func (h *dueHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = dueItem{}
	*h = old[:len(old)-1]
	return it
}
