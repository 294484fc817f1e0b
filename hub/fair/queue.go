package fair

import "container/heap"

// Queue is work of several holders that waits for one worker. The work of a holder
// stays in order. Of several holders the one is next that got the least so far, so
// however much work one holder has, another waits for one piece of it at most.
// (Start-time fair queuing: Goyal, Vin and Cheng, 1996.)
//
// A Queue is not safe for concurrent use: whoever owns it has a lock for it. The
// zero Queue is empty.
type Queue[K comparable, T any] struct {
	lines   map[K]*line[K, T]
	waiting lineHeap[K, T] // the lines that have work
	clock   int64          // the mark of the line that was served last
	pushed  uint64         // pieces of work that came so far
	length  int
}

// line is the work of one holder.
type line[K comparable, T any] struct {
	holder K
	work   []piece[T]
	mark   int64  // what the holder got, in units of cost, since its line began
	came   uint64 // when the first piece came, as a number of Queue.pushed
	place  int    // in Queue.waiting; -1: the line has no work
}

// piece of work.
type piece[T any] struct {
	value T
	cost  int64
	came  uint64
}

// Push adds work of a holder. cost is how much of the worker it takes, in any unit.
func (q *Queue[K, T]) Push(holder K, cost int64, value T) {
	l := q.find(holder)
	q.pushed++
	l.work = append(l.work, piece[T]{value, cost, q.pushed})
	q.length++
	q.settle(l)
}

// Return puts work back that was taken: it is the holder's next.
func (q *Queue[K, T]) Return(holder K, cost int64, value T) {
	l := q.find(holder)
	l.mark -= cost
	l.work = append([]piece[T]{{value, cost, 0}}, l.work...)
	q.length++
	q.settle(l)
}

// Charge makes a holder pay more for work that was taken than its cost said.
func (q *Queue[K, T]) Charge(holder K, cost int64) {
	if l := q.lines[holder]; l != nil {
		l.mark += cost
		q.settle(l)
	}
}

// Next returns the cost of the work that Take would return; false: nothing waits.
func (q *Queue[K, T]) Next() (cost int64, ok bool) {
	if q.length == 0 {
		return 0, false
	}
	return q.waiting[0].work[0].cost, true
}

// Take removes the work whose turn it is. The queue must not be empty.
func (q *Queue[K, T]) Take() T {
	l := q.waiting[0]
	first := l.work[0]
	l.work[0] = piece[T]{} // its memory is the taker's
	l.work = l.work[1:]
	q.length--

	q.clock = max(q.clock, l.mark)
	l.mark += first.cost
	q.settle(l)
	q.forget()
	return first.value
}

// Len returns how many pieces of work wait.
func (q *Queue[K, T]) Len() int { return q.length }

// find returns the line of a holder. A new one gets nothing for the time before.
func (q *Queue[K, T]) find(holder K) *line[K, T] {
	l := q.lines[holder]
	if l == nil {
		if q.lines == nil {
			q.lines = map[K]*line[K, T]{}
		}
		l = &line[K, T]{holder: holder, place: -1}
		q.lines[holder] = l
	}
	if len(l.work) == 0 {
		l.mark = max(l.mark, q.clock)
	}
	return l
}

// settle brings the place of a line up to date.
func (q *Queue[K, T]) settle(l *line[K, T]) {
	if len(l.work) > 0 {
		l.came = l.work[0].came
	}
	switch {
	case len(l.work) > 0 && l.place < 0:
		heap.Push(&q.waiting, l)
	case len(l.work) > 0:
		heap.Fix(&q.waiting, l.place)
	case l.place >= 0:
		heap.Remove(&q.waiting, l.place)
	}
}

// spareLines is how many lines without work are kept before they are looked through.
const spareLines = 64

// forget drops lines that have no work and got no more than the others.
func (q *Queue[K, T]) forget() {
	if q.length == 0 {
		clear(q.lines) // nobody waited for anybody
		q.clock = 0
		return
	}
	if len(q.lines) <= 2*len(q.waiting)+spareLines {
		return
	}
	for holder, l := range q.lines {
		if len(l.work) == 0 && l.mark <= q.clock {
			delete(q.lines, holder)
		}
	}
}

// lineHeap implements heap.Interface.
type lineHeap[K comparable, T any] []*line[K, T]

func (h lineHeap[K, T]) Len() int { return len(h) }

func (h lineHeap[K, T]) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.mark != b.mark {
		return a.mark < b.mark
	}
	return a.came < b.came
}

func (h lineHeap[K, T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place = i
	h[j].place = j
}

// Push implements heap.Interface.
func (h *lineHeap[K, T]) Push(x any) {
	l := x.(*line[K, T])
	l.place = len(*h)
	*h = append(*h, l)
}

// Pop implements heap.Interface.
func (h *lineHeap[K, T]) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	l.place = -1
	return l
}
