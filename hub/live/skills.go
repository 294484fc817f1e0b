package live

import "slices"

// Skill is what a queue is like now.
type Skill struct {
	ID      string
	Waiting int64 // contacts in it, of any media
	// MaxWait is for how long the first of them has waited, ms; -1: nobody waits.
	MaxWait int64
	// Slots is how many more contacts its agents can take: those who are online and, for
	// calls, ready. 1 if one of them takes any number.
	Slots int64
}

// Skills returns the queues of the directory and those that queue events name, by id.
func (b *Board) Skills(now int64) map[string]*Skill {
	all := map[string]*Skill{}
	media := map[string]string{} // of queues; the directory wins
	for _, q := range b.facts.Queues {
		all[q.ID] = &Skill{ID: q.ID, MaxWait: -1}
		media[q.ID] = q.Media
	}
	for _, q := range b.directory.Queues() {
		all[q.QueueID] = &Skill{ID: q.QueueID, MaxWait: -1}
		if q.Media != "" {
			media[q.QueueID] = q.Media
		}
	}

	for i := range b.Waiting {
		if s := all[b.Waiting[i].Queue]; s != nil {
			s.Waiting++
			s.MaxWait = max(s.MaxWait, now-b.Waiting[i].Since, 0)
		}
	}

	// What its agents have free, each of them once for each of its queues.
	unlimited := map[string]bool{}
	for i := range b.Rows {
		r := &b.Rows[i]
		if r.Entry == nil || r.Login != 1 {
			continue
		}
		limit := r.MaxChats()
		free := max(0, limit-int64(b.handled[r.Key])-r.Parties)
		for j, id := range r.Entry.QueueIDs {
			s := all[id]
			if s == nil || slices.Contains(r.Entry.QueueIDs[:j], id) {
				continue
			}
			if media[id] == "call" && r.Work != 1 {
				continue
			}
			s.Slots += free
			if limit == -1 {
				unlimited[id] = true
			}
		}
	}
	for id := range unlimited {
		all[id].Slots = 1
	}
	return all
}
