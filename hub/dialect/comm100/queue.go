package comm100

import (
	"cmp"
	"context"

	"github.com/hookline/hookline/hub/live"
)

// queueState is the queue of a department, of an agent, or of the site: the chats that
// are in no department.
type queueState struct {
	DepartmentID  *string     `json:"routeToDepartmentId"`
	Department    *department `json:"routeToDepartment"`
	AgentID       *string     `json:"routeToAgentId"`
	Agent         *routeAgent `json:"routeToAgent"`
	Ongoing       int         `json:"ongoingChats"`
	MaxConcurrent int64       `json:"maxConcurrentChats"` // of the site
	Length        int         `json:"currentQueueLength"`
	Wait30        timeSpan    `json:"avgWaitTimeinLast30Mins"`
	Wait60        timeSpan    `json:"avgWaitTimeinLast60Mins"`
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
	ID       string   `json:"visitorId"`
	Identity string   `json:"contactIdentityId"`
	Wait     timeSpan `json:"waitTime"`
}

// routeAgent is an agent to whom chats are routed. The document's sample shows an apiKey:
// it is never told. What the directory does not say is what .NET shows of a value that
// was never set.
type routeAgent struct {
	ID              string   `json:"id"`
	DisplayName     string   `json:"displayName"`
	Email           string   `json:"email"`
	IsAdmin         bool     `json:"isAdmin"`
	SiteID          int      `json:"siteId"`
	FirstName       string   `json:"firstName"`
	LastName        string   `json:"lastName"`
	IsActive        bool     `json:"isActive"`
	Phone           string   `json:"phone"`
	Title           string   `json:"title"`
	Bio             string   `json:"bio"`
	APIKey          string   `json:"apiKey"`
	CreatedTime     string   `json:"createdTime"`
	IsLocked        bool     `json:"isLocked"`
	LockedTime      string   `json:"lockedTime"`
	IsDeleted       bool     `json:"isDeleted"`
	SystemAvatarID  string   `json:"systemAvatarId"`
	CustomizeAvatar bool     `json:"ifCustomizeAvatar"`
	CustomAvatar    string   `json:"customizeAvatar"`
	Avatar          string   `json:"avatar"`
	DepartmentIDs   []string `json:"departmentIds"`
}

// .NET's values that were never set.
const (
	noTime = "0001-01-01T00:00:00Z"
	noGUID = "00000000-0000-0000-0000-000000000000"
)

func newRouteAgent(p *live.Board, r *live.Row) *routeAgent {
	agent := &routeAgent{
		ID: agentID(r), DisplayName: r.Name, IsActive: true,
		CreatedTime: noTime, LockedTime: noTime, SystemAvatarID: noGUID, DepartmentIDs: []string{},
	}
	if r.Entry != nil {
		agent.Email = r.Entry.Email
	}
	for _, id := range r.Departments {
		if d := p.Directory().Department(id); d != nil {
			id = cmp.Or(d.GUID, id)
			agent.SiteID = cmp.Or(agent.SiteID, d.SiteID)
		}
		agent.DepartmentIDs = append(agent.DepartmentIDs, id)
	}
	return agent
}

// queue answers Queue: the site, the departments, then the agents to whom waiting chats
// are routed. Such a chat is in the element of its department or the site, too.
func (a *API) queue(ctx context.Context, q *query) (any, error) {
	p, err := a.Boards.At(ctx, q.Tenant, q.now, q.zone)
	if err != nil {
		return nil, err
	}

	out := []queueState{}
	for _, of := range p.ChatQueues(q.now) {
		s := q.state(p, &of)
		if of.Department != "" {
			// A department missing from the directory gets the defaults, as one listed
			// without details does.
			d := department{ID: of.Department, Chat: true, Messaging: true}
			if known := p.Directory().Department(of.Department); known != nil {
				d = department{
					cmp.Or(known.GUID, known.DepartmentID), known.SiteID, known.Name, known.Description,
					known.IsAvailableInLiveChat, known.IsAvailableInTicketingAndMessaging, false,
				}
			}
			s.DepartmentID = &d.ID
			s.Department = &d
		}
		out = append(out, s)
	}
	for _, of := range p.AgentQueues(q.now) {
		s := q.state(p, &of.ChatQueue)
		s.Agent = newRouteAgent(p, of.Agent)
		s.AgentID = &s.Agent.ID
		out = append(out, s)
	}
	return out, nil
}

// state returns the figures of a queue.
func (q *query) state(p *live.Board, of *live.ChatQueue) queueState {
	s := queueState{
		Ongoing: of.Ongoing, MaxConcurrent: p.MaxChats(), Length: len(of.Waiting),
		Wait30: timeSpan(of.Wait30), Wait60: timeSpan(of.Wait60),
		Abandoned: of.Abandoned, Switched: of.Switched, Visitors: []visitor{},
	}
	for _, w := range of.Waiting {
		s.Visitors = append(s.Visitors, visitor{w.Visitor, w.Identity, timeSpan(max(0, q.now-w.Since))})
	}
	return s
}

// agentID returns the id of an agent that Comm100's clients know.
func agentID(r *live.Row) string {
	if r.Entry != nil && r.Entry.ChatAgentID != "" {
		return r.Entry.ChatAgentID
	}
	return cmp.Or(r.UUID, r.AgentID)
}
