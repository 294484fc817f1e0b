package peers

import (
	"encoding/binary"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/subscriptions"
)

// nudges is news for lanes, and for other processes that something was changed.
type nudges struct {
	rows    map[int64]int64 // subscription → what its lane is told, an encoded delivery.Nudge
	changed bool            // tenants, keys or subscriptions changed; for other processes only
}

func emptyNudges() nudges { return nudges{rows: map[int64]int64{}} }

// Nudge notes that subscriptions have new rows. It never blocks.
func (p *Pipeline) Nudge(rows []storage.Rows) {
	for _, r := range rows {
		box := p.there
		if p.remote == nil || p.lanes.Owns(subscriptions.Shard(r.Sub)) {
			box = p.here
		}
		code := delivery.Nudge{From: r.From, Replays: r.Replays, Again: r.Again}.Encode()
		box.add(func(news *nudges) { merge(news.rows, r.Sub, code) })
	}
}

// Changed notes that other processes should read tenants, keys and
// subscriptions again. It never blocks.
func (p *Pipeline) Changed() {
	if p.remote == nil {
		return
	}
	p.there.add(func(news *nudges) { news.changed = true })
}

// merge tells a lane also what code says.
func merge(rows map[int64]int64, sub, code int64) {
	if at, waits := rows[sub]; waits {
		code = delivery.DecodeNudge(at).And(delivery.DecodeNudge(code)).Encode()
	}
	rows[sub] = code
}

// publishHere sends the nudges of this process's own lanes, one message a shard.
func (p *Pipeline) publishHere(news nudges) {
	byShard := make(map[int][]byte, min(len(news.rows), subscriptions.Shards))
	for sub, from := range news.rows {
		shard := subscriptions.Shard(sub)
		byShard[shard] = appendNudge(byShard[shard], sub, from)
	}
	for shard, payload := range byShard {
		p.publish(p.pubsub, topicHere(shard), payload)
	}
}

// publishThere sends what is for other processes, all nudges in one message.
func (p *Pipeline) publishThere(news nudges) {
	// Changes go first: who learns of rows should know their subscription.
	if news.changed {
		p.publish(p.remote, topicChanges, []byte{1})
	}
	if len(news.rows) == 0 {
		return
	}
	var payload []byte
	for sub, from := range news.rows {
		payload = appendNudge(payload, sub, from)
	}

	// More subscriptions than a message can hold become their shards.
	if len(payload) > storage.MaxNotice {
		shards := map[int64]int64{}
		for sub, from := range news.rows {
			merge(shards, allOf(subscriptions.Shard(sub)), from)
		}
		payload = payload[:0]
		for shard, from := range shards {
			payload = appendNudge(payload, shard, from)
		}
	}
	p.publish(p.remote, topicNudges, payload)
}

// A nudge in a message is a pair of varints: the subscription, or allOf a shard,
// and from.

func allOf(shard int) int64 { return -1 - int64(shard) }

func appendNudge(b []byte, sub, from int64) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, sub), from)
}

// nudgeLanes does what a message of nudges says. It drops what it cannot read,
// as nudges are only hints.
func (p *Pipeline) nudgeLanes(payload []byte) {
	rest := varints{payload}
	for len(rest.b) > 0 {
		var sub, from int64
		if !rest.signed(&sub) || !rest.signed(&from) {
			return
		}
		if sub >= 0 {
			p.lanes.Nudge(sub, from)
			continue
		}
		if shard := -1 - sub; shard < subscriptions.Shards {
			p.lanes.NudgeShard(int(shard), from)
		}
	}
}

// varints reads numbers off the front of a message.
type varints struct{ b []byte }

// signed reads one into to, and reports whether there was one.
func (v *varints) signed(to *int64) bool {
	x, n := binary.Varint(v.b)
	if n <= 0 {
		return false
	}
	*to, v.b = x, v.b[n:]
	return true
}

// unsigned reads one into to, and reports whether there was one.
func (v *varints) unsigned(to *uint64) bool {
	x, n := binary.Uvarint(v.b)
	if n <= 0 {
		return false
	}
	*to, v.b = x, v.b[n:]
	return true
}
