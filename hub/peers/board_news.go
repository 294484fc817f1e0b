package peers

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage"
)

// boardsEvery is the least time between two messages of topicBoards. Boards are
// looked at once a second anyway.
const boardsEvery = 100 * time.Millisecond

// boardNews is what other processes need to know for the boards they show: which
// tenants have new events, and which streams were opened.
type boardNews struct {
	stored map[int64]struct{} // tenants
	opened []openedStream
}

// openedStream is a stream with a key. It replaces the key's stream on other
// processes.
type openedStream struct {
	tenant int64
	key    uuid.UUID
	at     int64 // Unix ms
}

func emptyBoardNews() boardNews { return boardNews{stored: map[int64]struct{}{}} }

// maxOpened bounds the opened streams that wait to be published. Of a stream that
// is left out, the one with the same key on another process goes on.
const maxOpened = 1000

// Stored notes that events of a tenant were committed. It never blocks.
func (p *Pipeline) Stored(tenant int64) {
	if p.remote == nil {
		return
	}
	p.boards.add(func(news *boardNews) { news.stored[tenant] = struct{}{} })
}

// Opened notes that a stream of a key was opened. It never blocks.
func (p *Pipeline) Opened(tenant int64, key string, at time.Time) {
	id, err := uuid.Parse(key)
	if p.remote == nil || err != nil {
		return
	}
	p.boards.add(func(news *boardNews) {
		if len(news.opened) < maxOpened {
			news.opened = append(news.opened, openedStream{tenant, id, at.UnixMilli()})
		}
	})
}

// In a message of topicBoards a tenant is a varint of its number. A stream is a
// varint of its tenant's number below 0, the key's bytes, and a varint of the
// time. These are the most bytes that they take.
const (
	maxStored  = binary.MaxVarintLen64
	maxOpening = 2*binary.MaxVarintLen64 + len(uuid.UUID{})
)

// messages writes the news as messages that a Transport takes.
func (news boardNews) messages() (messages [][]byte) {
	var m []byte
	room := func(n int) {
		if len(m)+n > storage.MaxNotice {
			messages = append(messages, m)
			m = nil
		}
	}

	for tenant := range news.stored {
		room(maxStored)
		m = binary.AppendVarint(m, tenant)
	}
	for _, s := range news.opened {
		room(maxOpening)
		m = binary.AppendVarint(m, -s.tenant)
		m = append(m, s.key[:]...)
		m = binary.AppendVarint(m, s.at)
	}
	if len(m) > 0 {
		messages = append(messages, m)
	}
	return messages
}

func (p *Pipeline) publishBoards(news boardNews) {
	for _, m := range news.messages() {
		p.publish(p.remote, topicBoards, m)
	}
}

// readBoardNews passes what a message of another process says to the watches of
// this one. It drops what it cannot read: boards are looked at once a second
// anyway. A message without a payload says that some may have been lost.
func readBoardNews(payload []byte, watches *live.Watches) {
	if len(payload) == 0 {
		watches.ChangedAll()
		return
	}
	rest := varints{payload}
	for len(rest.b) > 0 {
		var tenant, at int64
		if !rest.signed(&tenant) {
			return
		}
		if tenant >= 0 {
			watches.Changed(tenant)
			continue
		}

		if len(rest.b) < len(uuid.UUID{}) {
			return
		}
		key := uuid.UUID(rest.b[:len(uuid.UUID{})])
		rest.b = rest.b[len(key):]
		if !rest.signed(&at) {
			return
		}
		watches.Replace(-tenant, key.String(), time.UnixMilli(at))
	}
}
