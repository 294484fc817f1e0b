package fair

import (
	"slices"
	"sync"
	"time"
)

// Lately knows who was served last. The zero Lately is ready. Whoever holds something that
// others need, too, asks it whether there are others.
type Lately[K comparable] struct {
	mu   sync.Mutex
	last [2]served[K] // two different holders, the one that was served last first
}

// served is when a holder was served last.
type served[K comparable] struct {
	holder K
	at     time.Time // zero: there was none
}

// latelyTime is how long somebody counts as served lately.
const latelyTime = time.Second

// Note says that a holder is served now.
func (l *Lately[K]) Note(holder K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last[0].holder != holder {
		l.last[1] = l.last[0]
	}
	l.last[0] = served[K]{holder, time.Now()}
}

// Others reports whether any other holder was served within the last second.
func (l *Lately[K]) Others(holder K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.last[:], func(s served[K]) bool {
		return s.holder != holder && !s.at.IsZero() && time.Since(s.at) < latelyTime
	})
}
