package live

import "slices"

// Skill is what a queue is like now.
type Skill struct {
	ID      string
	Waiting int64 // contacts in it, of any media
	// MaxWait is for how long the first of them has waited, ms; -1: nobody waits.
	MaxWait int64
	// Slots are the contacts that its agents can take beside those they have: of
	// agents online and, for calls, ready. 1 when one of them takes any number.
	Slots int64
}

// Skills are the queues of the directory and those that queue events name, in no
// order.
func (p *Board) Skills(now int64) map[string]*Skill {
	media := map[string]string{}
	all := map[string]*Skill{}
	for _, q := range p.facts.Queues {
		all[q.ID], media[q.ID] = &Skill{ID: q.ID, MaxWait: -1}, q.Media
	}
	for _, q := range p.directory.Queues() {
		all[q.QueueID] = &Skill{ID: q.QueueID, MaxWait: -1}
		if q.Media != "" {
			media[q.QueueID] = q.Media
		}
	}
	for i := range p.Waiting {
		if s := all[p.Waiting[i].Queue]; s != nil {
			s.Waiting++
			s.MaxWait = max(s.MaxWait, now-p.Waiting[i].Since, 0)
		}
	}
	unlimited := map[string]bool{}
	for i := range p.Rows {
		r := &p.Rows[i]
		if r.Listed == nil || r.Login != 1 {
			continue
		}
		limit := r.MaxChats()
		free := max(0, limit-int64(p.handled[r.Key])-r.Parties)
		for j, id := range r.Listed.QueueIDs {
			s := all[id]
			if s == nil || media[id] == "call" && r.Work != 1 || slices.Contains(r.Listed.QueueIDs[:j], id) {
				continue
			}
			s.Slots += free
			unlimited[id] = unlimited[id] || limit == -1
		}
	}
	for id := range unlimited {
		if unlimited[id] {
			all[id].Slots = 1
		}
	}
	return all
}
