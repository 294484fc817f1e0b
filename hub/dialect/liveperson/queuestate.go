package liveperson

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/live"
)

// figures of a skill, or of all; -1 each for a skill without data.
type figures struct {
	Slots   int64  `json:"currentAvailableSlots"`
	Size    int64  `json:"currentQueueSize"`
	MaxWait *int64 `json:"currentMaxWaitTimeInQueue,omitempty"` // ms; -1: nobody waits; nil: before version 2
}

// skill is one member of skills.
type skill struct {
	id string
	figures
}

// state is the answer.
type state struct {
	Skills skills  `json:"skills"`
	Totals figures `json:"totals"`
}

// skills are an object whose members stand in the order of the list.
type skills []skill

// MarshalJSON keeps the order, which no map would.
func (s skills) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(s[i].id)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(s[i].figures)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// maxAnswering is how many requests of a tenant are answered at a time: "the
// maximum number of concurrent requests is limited on the server side".
const maxAnswering = 16

// queueState is the one method.
func (a *API) queueState(w http.ResponseWriter, r *http.Request, c access.Caller) error {
	if a.answering.Try(c.Tenant, maxAnswering) != nil {
		dialect.RetryAfter(w, time.Second) // "a window of at least 1 second"
		return &problem{http.StatusTooManyRequests, "too many requests at a time, wait a second"}
	}
	defer a.answering.Give(c.Tenant)

	q, err := readQuery(r)
	if err != nil {
		return err
	}
	now, err := a.Now(r)
	if err != nil {
		return err
	}
	// No figure here depends on the day. The board is that of the tenant's zone, as the
	// other dialects' is, so that there is one for all of them.
	zone, err := a.Zone(c.Tenant)
	if err != nil {
		return err
	}

	ctx, stop := dialect.Bound(r)
	defer stop()
	board, err := a.Boards.At(ctx, c.Tenant, now, zone)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, q.state(board.Skills(now)))
	return nil
}

// state of the skills that are asked for: all in the order of their numbers, or
// those of a list in its order.
func (q *asked) state(all map[string]*live.Skill) state {
	ids := q.skills
	if ids == nil {
		for id := range all {
			ids = append(ids, id)
		}
		slices.SortFunc(ids, func(x, y string) int { return cmp.Or(live.CompareNumbers(x, y), cmp.Compare(x, y)) })
	}
	none := func() *int64 { // what nobody has waited
		if !q.maxWait {
			return nil
		}
		return new(int64(-1))
	}
	out := state{Skills: skills{}, Totals: figures{MaxWait: none()}}
	for _, id := range ids {
		one := skill{id, figures{-1, -1, none()}}
		if s := all[id]; s != nil { // else it has no data, and is in no total
			one.Slots, one.Size = s.Slots, s.Waiting
			out.Totals.Slots += s.Slots
			out.Totals.Size += s.Waiting
			if q.maxWait {
				*one.MaxWait = s.MaxWait
				*out.Totals.MaxWait = max(*out.Totals.MaxWait, s.MaxWait)
			}
		}
		out.Skills = append(out.Skills, one)
	}
	return out
}
