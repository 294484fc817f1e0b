package fair

import "sync"

// Budget is a number of bytes that holders share without a fixed share of each: a
// holder may take more as long as what it has then is at most what is left then.
// (Switches share their memory among ports by this rule: Choudhury and Hahne,
// "Dynamic queue length thresholds for shared-memory packet switches", 1998.)
//
// One holder alone gets half. While k others hold what they can, one more still
// gets Total/2^(k+1) at once, and all come to have equal parts as bytes are given
// back. Set Total before the first use.
type Budget[K comparable] struct {
	Total int64

	mu    sync.Mutex
	taken int64 // by all
	of    map[K]int64
}

// Take takes n more bytes for a holder, or nothing: then it returns false. Give
// them back.
func (b *Budget[K]) Take(holder K, n int64) bool {
	if n <= 0 {
		return true
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	mine := b.of[holder] + n
	left := b.Total - b.taken - n
	if mine > left {
		return false
	}

	if b.of == nil {
		b.of = map[K]int64{}
	}
	b.of[holder] = mine
	b.taken += n
	return true
}

// Give gives back n bytes that the holder took.
func (b *Budget[K]) Give(holder K, n int64) {
	if n <= 0 {
		return
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken -= n
	if b.of[holder] -= n; b.of[holder] <= 0 {
		delete(b.of, holder)
	}
}

// Full returns the error of a holder that Take gave nothing. It is the holder's own
// doing if it has as much as all others together.
func (b *Budget[K]) Full(holder K, what string) *Full {
	b.mu.Lock()
	defer b.mu.Unlock()
	mine := b.of[holder]
	return &Full{Own: mine > 0 && mine >= b.taken-mine, What: what, After: retryAfter}
}

// Held returns the bytes that all holders have.
func (b *Budget[K]) Held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken
}
