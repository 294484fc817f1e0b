package live

import (
	"cmp"
	"slices"
)

// QueueRow is a queue on a board, with its agents by what they do, and what became of
// today's waits. It holds instants, not lengths of time.
type QueueRow struct {
	ID         string
	Name       string
	Media      string // call, chat; "": nothing says
	Department string
	Group      string // id
	Waiting    int64
	Since      int64 // Unix ms, when the first of those who wait came; 0: nobody waits
	Slots      int64 // as in Skill

	// Its agents in the directory that are logged in: each is in one of the four.
	LoggedIn, Ready, OnCall, AfterWork, Away int64

	// Waits that began today and are over.
	Ended, Answered, Abandoned int64
	InTime                     int64 // answered within the time that was asked for
}

// Queues returns the queues of the directory and those that queue events name, in the
// order of their ids. An answer is in time if it came within so many ms.
func (b *Board) Queues(within int64) []QueueRow {
	skills := b.Skills(b.Now)
	rows := make(map[string]*QueueRow, len(skills))
	for id, s := range skills {
		rows[id] = &QueueRow{ID: id, Waiting: s.Waiting, Slots: s.Slots}
	}
	for _, q := range b.facts.Queues {
		rows[q.ID].Media = q.Media
	}
	for _, q := range b.directory.Queues() {
		r := rows[q.QueueID]
		r.Name = q.Name
		r.Media = cmp.Or(q.Media, r.Media)
		r.Department = q.DepartmentID
		r.Group = q.GroupID
	}

	for i := range b.Waiting {
		w := &b.Waiting[i]
		if r := rows[w.Queue]; r != nil && (r.Since == 0 || w.Since < r.Since) {
			r.Since = w.Since
		}
	}
	b.countQueueAgents(rows)
	b.countQueueWaits(rows, within)

	all := make([]QueueRow, 0, len(rows))
	for _, r := range rows {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(x, y QueueRow) int {
		return cmp.Or(CompareNumbers(x.ID, y.ID), cmp.Compare(x.ID, y.ID))
	})
	return all
}

// countQueueAgents counts each agent who is logged in once in each of its queues.
func (b *Board) countQueueAgents(rows map[string]*QueueRow) {
	for i := range b.Rows {
		agent := &b.Rows[i]
		if agent.Entry == nil || !agent.LoggedIn() {
			continue
		}
		for j, id := range agent.Entry.QueueIDs {
			r := rows[id]
			if r == nil || slices.Contains(agent.Entry.QueueIDs[:j], id) {
				continue
			}

			r.LoggedIn++
			switch {
			case agent.OnCall():
				r.OnCall++
			case agent.Work == 4:
				r.AfterWork++
			case agent.Login == 1 && agent.Work == 1:
				r.Ready++
			default:
				r.Away++
			}
		}
	}
}

// countQueueWaits counts the waits that began today and are over.
func (b *Board) countQueueWaits(rows map[string]*QueueRow, within int64) {
	count := func(waits []Wait) {
		for i := range waits {
			w := &waits[i]
			r := rows[w.Queue]
			if r == nil || !b.today(w.At) {
				continue
			}

			r.Ended++
			switch w.Outcome {
			case "answered":
				r.Answered++
				if w.EndsAt-w.At <= within {
					r.InTime++
				}
			case Abandoned:
				r.Abandoned++
			}
		}
	}
	for _, c := range b.facts.Calls {
		if len(c.Queue) > 0 {
			count(c.EndedWaits())
		}
	}
	for _, c := range b.facts.Chats {
		if len(c.Queue) > 0 {
			count(c.EndedWaits())
		}
	}
}
