package hub

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage"
)

// boardsEvery is the least time between two messages of topicBoards: what comes
// meanwhile is merged. Boards are looked at once a second anyway.
const boardsEvery = 100 * time.Millisecond

// boardNews is what other processes hear of this one for the boards they show:
// of which tenants events were stored, and which streams were opened.
type boardNews struct {
	mu     sync.Mutex
	stored map[int64]struct{}
	opened []openedStream
	wake   chan struct{} // of one
}

type openedStream struct {
	tenant int64
	key    uuid.UUID
	at     int64 // Unix ms
}

func newBoardNews() boardNews {
	return boardNews{stored: map[int64]struct{}{}, wake: make(chan struct{}, 1)}
}

// Stored notes that events of a tenant were committed. It never blocks.
func (p *pipeline) Stored(tenant int64) {
	if p.remote == nil {
		return
	}
	p.boards.mu.Lock()
	p.boards.stored[tenant] = struct{}{}
	p.boards.mu.Unlock()
	p.boards.signal()
}

// Opened notes that a stream of a key was opened. It never blocks.
func (p *pipeline) Opened(tenant int64, key string, at time.Time) {
	id, err := uuid.Parse(key)
	if p.remote == nil || err != nil {
		return
	}
	p.boards.mu.Lock()
	if len(p.boards.opened) < maxOpened { // else the others end by themselves
		p.boards.opened = append(p.boards.opened, openedStream{tenant, id, at.UnixMilli()})
	}
	p.boards.mu.Unlock()
	p.boards.signal()
}

const (
	maxOpened = 1000 // streams that wait to be told of
	// A tenant is a varint of its number; a stream is one of the number below 0, the
	// key's bytes, and a varint of the time.
	maxStored  = binary.MaxVarintLen64
	maxOpening = 2*binary.MaxVarintLen64 + 16
)

func (b *boardNews) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties what waits, as messages.
func (b *boardNews) take() (messages [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var m []byte
	room := func(n int) {
		if len(m)+n > storage.MaxNotice {
			messages, m = append(messages, m), nil
		}
	}
	for tenant := range b.stored {
		room(maxStored)
		m = binary.AppendVarint(m, tenant)
	}
	for _, s := range b.opened {
		room(maxOpening)
		m = binary.AppendVarint(append(binary.AppendVarint(m, -s.tenant), s.key[:]...), s.at)
	}
	clear(b.stored)
	b.opened = nil
	if len(m) > 0 {
		messages = append(messages, m)
	}
	return messages
}

// send what there is to say, until ctx ends.
func (p *pipeline) sendBoards(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.boards.wake:
		}
		for _, m := range p.boards.take() {
			p.publish(p.remote, topicBoards, m)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(boardsEvery):
		}
	}
}

// hearBoards does what a message of another process says. What cannot be read is
// dropped: boards are looked at once a second anyway.
func hearBoards(payload []byte, w *live.Watches) {
	if len(payload) == 0 {
		w.ChangedAll()
		return
	}
	for len(payload) > 0 {
		tenant, n := binary.Varint(payload)
		if n <= 0 {
			return
		}
		payload = payload[n:]
		if tenant >= 0 {
			w.Changed(tenant)
			continue
		}
		if len(payload) < len(uuid.UUID{}) {
			return
		}
		key := uuid.UUID(payload[:len(uuid.UUID{})])
		at, n := binary.Varint(payload[len(key):])
		if n <= 0 {
			return
		}
		payload = payload[len(key)+n:]
		w.Replace(-tenant, key.String(), time.UnixMilli(at))
	}
}
