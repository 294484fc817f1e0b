package comm100

import (
	"cmp"
	"context"
)

// queueState of a department, or of the site: chats that are in none. There is no
// element for an agent, whose apiKey the document's sample would show.
type queueState struct {
	DepartmentID  *string     `json:"routeToDepartmentId"`
	Department    *department `json:"routeToDepartment"`
	AgentID       *string     `json:"routeToAgentId"`
	Agent         *struct{}   `json:"routeToAgent"`
	Ongoing       int         `json:"ongoingChats"`
	MaxConcurrent int64       `json:"maxConcurrentChats"` // of the site
	Length        int         `json:"currentQueueLength"`
	Wait30        span        `json:"avgWaitTimeinLast30Mins"`
	Wait60        span        `json:"avgWaitTimeinLast60Mins"`
	Abandoned     int         `json:"abandonedChatsinLast30Mins"`
	Switched      int         `json:"switchedtoMessagesinLast30Mins"`
	Visitors      []visitor   `json:"visitors"`
}

type department struct {
	ID          string `json:"id"`
	SiteID      int    `json:"siteId"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Chat        bool   `json:"isAvailableInLiveChat"`
	Messaging   bool   `json:"isAvailableInTicketingAndMessaging"`
	Deleted     bool   `json:"isDeleted"`
}

type visitor struct {
	ID       string `json:"visitorId"`
	Identity string `json:"contactIdentityId"`
	Wait     span   `json:"waitTime"`
}

func (a *API) queue(ctx context.Context, q *query) (any, error) {
	p, err := a.Boards.At(ctx, q.Tenant, q.now, q.zone)
	if err != nil {
		return nil, err
	}
	most := p.MaxChats()
	out := []queueState{}
	for _, of := range p.ChatQueues(q.now) {
		s := queueState{
			Ongoing: of.Ongoing, MaxConcurrent: most, Length: len(of.Waiting), Wait30: span(of.Wait30), Wait60: span(of.Wait60),
			Abandoned: of.Abandoned, Switched: of.Switched, Visitors: []visitor{},
		}
		if of.Department != "" {
			// What the directory does not know is as one of which nothing is said there.
			d := department{ID: of.Department, Chat: true, Messaging: true}
			if known := p.Directory().Department(of.Department); known != nil {
				d = department{
					cmp.Or(known.GUID, known.DepartmentID), known.SiteID, known.Name, known.Description,
					known.IsAvailableInLiveChat, known.IsAvailableInTicketingAndMessaging, false,
				}
			}
			s.DepartmentID, s.Department = &d.ID, &d
		}
		for _, w := range of.Waiting {
			s.Visitors = append(s.Visitors, visitor{w.Visitor, w.Identity, span(max(0, q.now-w.Since))})
		}
		out = append(out, s)
	}
	return out, nil
}
