package recount

import (
	"cmp"
	"fmt"
	"slices"
)

// wait is a contact's time in one queue.
type wait struct {
	entry   // queue.entered
	over    bool
	end     int64
	outcome string // of queue.left
}

// waitsOf returns the waits of a call or chat in order. It knows nothing of what
// ends the contact itself.
func (r *recount) waitsOf(media, contact string) (all []wait) {
	entries := r.lastOfEach(func(e *entry) string {
		if !isQueueEvent(e) || e.text("contactId") != contact || e.text("media") != media {
			return ""
		}
		return fmt.Sprint(e.typ, e.text("queueId"), e.at)
	})
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Or(byTime(a, b), cmp.Compare(a.typ, b.typ)) })

	for _, e := range entries {
		last := lastOf(all)
		open := last != nil && !last.over
		switch {
		case e.typ == "queue.entered":
			// A contact is in one queue at a time: it leaves the one before.
			if open {
				last.over = true
				last.end = e.at
			}
			all = append(all, wait{entry: e})
		case open && last.text("queueId") == e.text("queueId"):
			last.over = true
			last.end = e.at
			last.outcome = e.text("outcome")
		}
	}
	return all
}

func lastOf(all []wait) *wait {
	if len(all) == 0 {
		return nil
	}
	return &all[len(all)-1]
}

// waiting reports whether a contact is in a queue now. latest is the time of its
// last event: after a while without one it counts as gone.
func (r *recount) waiting(all []wait, over bool, latest int64) bool {
	last := lastOf(all)
	return last != nil && !last.over && !over && r.now-latest < r.staleCall
}

// endedWaits returns the waits that are over, as text and sorted. Those of
// contacts that only went silent are not among them.
func (r *recount) endedWaits() (all []string) {
	add := func(media, contact string, waits []wait, over bool, overAt int64) {
		for _, w := range waits {
			switch {
			case w.over:
				all = append(all, fmt.Sprint(media, " ", contact, " ", w.text("queueId"), " ", w.at, " ", w.end, " ", w.outcome))
			case over:
				all = append(all, fmt.Sprint(media, " ", contact, " ", w.text("queueId"), " ", w.at, " ", max(w.at, overAt), " "))
			}
		}
	}
	for id, c := range r.calls {
		add("call", id, c.waits, c.over(), c.end())
	}
	for id, c := range r.chats {
		end := c.first("chat.ended")
		endedAt := int64(0)
		if end != nil {
			endedAt = end.at
		}
		add("chat", id, c.waits, end != nil, endedAt)
	}
	slices.Sort(all)
	return all
}
