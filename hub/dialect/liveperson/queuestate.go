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

// figures are those of a skill, or the totals. Each is -1 for a skill without data.
type figures struct {
	Slots int64 `json:"currentAvailableSlots"`
	Size  int64 `json:"currentQueueSize"`
	// MaxWait is in ms, -1 when nobody waits, and nil before version 2.
	MaxWait *int64 `json:"currentMaxWaitTimeInQueue,omitempty"`
}

// skill is one member of the object skills.
type skill struct {
	id string
	figures
}

// state is the answer.
type state struct {
	Skills skills  `json:"skills"`
	Totals figures `json:"totals"`
}

// skills are shown as an object whose members stand in the order of the list.
type skills []skill

// MarshalJSON implements json.Marshaler. Unlike a map it keeps the order.
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

// queueState answers the one method of this API.
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

// state returns the answer: all skills in the order of their numbers, or those of the
// list that was asked for, in its order.
func (q *query) state(all map[string]*live.Skill) state {
	ids := q.skills
	if ids == nil {
		for id := range all {
			ids = append(ids, id)
		}
		slices.SortFunc(ids, func(x, y string) int { return cmp.Or(live.CompareNumbers(x, y), cmp.Compare(x, y)) })
	}

	nobodyWaits := func() *int64 {
		if !q.maxWait {
			return nil
		}
		return new(int64(-1))
	}

	// A skill without data stays -1 and is in no total.
	out := state{Skills: skills{}, Totals: figures{MaxWait: nobodyWaits()}}
	for _, id := range ids {
		one := skill{id, figures{-1, -1, nobodyWaits()}}
		if s := all[id]; s != nil {
			one.Slots = s.Slots
			one.Size = s.Waiting
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
