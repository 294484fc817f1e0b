package sink

import "hash/maphash"

// memory keeps a value for each of the last n new keys, and forgets the oldest key
// first. It takes its space as it fills.
type memory[V any] struct {
	n     int
	index map[uint64]int32
	slots []slot[V]
	next  int // the slot of the oldest key, once all are taken
}

type slot[V any] struct {
	key   uint64
	value V
}

func newMemory[V any](n int) *memory[V] {
	return &memory[V]{n: n, index: map[uint64]int32{}}
}

// at returns where the value of a key is, which is zero if the key is new. The pointer
// is valid until the next call.
func (m *memory[V]) at(key uint64) *V {
	if i, known := m.index[key]; known {
		return &m.slots[i].value
	}

	i := m.next
	if len(m.slots) < m.n {
		i = len(m.slots)
		m.slots = append(m.slots, slot[V]{})
	} else {
		delete(m.index, m.slots[i].key)
		m.next = (m.next + 1) % m.n
	}
	m.slots[i] = slot[V]{key: key}
	m.index[key] = int32(i)
	return &m.slots[i].value
}

var hashSeed = maphash.MakeSeed()

// hash returns 64 bits for some texts. Among a million, the chance that any two share
// the same bits is 3 in 10^8.
func hash(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	for _, p := range parts {
		_, _ = h.WriteString(p) // never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}
