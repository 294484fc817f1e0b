package comm100

import (
	"context"

	"github.com/hookline/hookline/hub/live"
)

// day is the answer of Today, with the document's misspellings.
type day struct {
	Requests            int64  `json:"chatRequests"`
	Total               int64  `json:"totalChats"`
	Chats               int64  `json:"chats"`
	AcceptanceRate      double `json:"chatAcceptanceRate"`
	Abandoned           int64  `json:"abandondedChats"`
	Switched            int64  `json:"switchedToMessageChats"`
	Missed              int64  `json:"missedChats"`
	WaitTime            double `json:"avgWaitingTime"` // s
	ChatTime            double `json:"avgChatTime"`    // s
	ResponseTime        double `json:"agentAvgResponseTime"`
	Invited             int64  `json:"acceptedInvitations"`
	Accessibility       double `json:"serviceAccessibilityRate"`
	DepartmentTransfers int64  `json:"departmentTransferredChats"`
	Transfers           int64  `json:"totalTransferredChats"`
	UniqueRate          double `json:"uniqueChatRate"`
	Utilization         double `json:"agentUtilization"`
	Rating              double `json:"avgScore"`
}

// today answers Today.
func (a *API) today(ctx context.Context, q *query) (any, error) {
	w, given, err := q.window(q.now)
	if err != nil {
		return nil, err
	}
	if !given {
		return nil, bad("startTime", "is required")
	}

	p, err := a.Boards.At(ctx, q.Tenant, q.now, q.zone)
	if err != nil {
		return nil, err
	}
	tally, err := a.Boards.Tally(ctx, q.Tenant, p, w, nil)
	if err != nil {
		return nil, err
	}
	return newDay(tally.Day()), nil
}

func newDay(d live.ChatDay) day {
	return day{
		Requests: d.Requests, Total: d.Total, Chats: d.Chats, AcceptanceRate: double(d.AcceptanceRate),
		Abandoned: d.Abandoned, Switched: d.Switched, Missed: d.Missed,
		WaitTime: double(d.WaitTime), ChatTime: double(d.ChatTime), ResponseTime: double(d.ResponseTime),
		Invited: d.Invited, Accessibility: double(d.Accessibility),
		DepartmentTransfers: d.DepartmentTransfers, Transfers: d.Transfers,
		UniqueRate: double(d.UniqueRate), Utilization: double(d.Utilization), Rating: double(d.Rating),
	}
}

// moment is the answer of RightNow. The document's table calls chatUtilization an int,
// and its sample shows 0.0.
type moment struct {
	AgentsInChat int    `json:"agentsInChat"`
	Ongoing      int    `json:"ongoingChats"`
	WithAgent    int    `json:"ongoingChatsWithAgent"`
	WithBot      int    `json:"ongoingChatsWithBot"`
	Waiting      int    `json:"currentQueueLength"`
	Visitors     int    `json:"visitorOnSite"`
	LoggedIn     int    `json:"loggedInAgents"`
	Utilization  double `json:"chatUtilization"`
}

// rightNow answers RightNow. It checks its parameters, and does not depend on them.
func (a *API) rightNow(ctx context.Context, q *query) (any, error) {
	from, begins, err := q.instant("startTime")
	if err != nil {
		return nil, err
	}
	to, ends, err := q.instant("endTime")
	if err != nil {
		return nil, err
	}
	if begins && ends && to < from {
		return nil, bad("endTime", "is before startTime")
	}

	p, err := a.Boards.At(ctx, q.Tenant, q.now, q.zone)
	if err != nil {
		return nil, err
	}
	c := p.CountChats(q.now)
	return moment{
		AgentsInChat: c.AgentsInChat, Ongoing: c.Ongoing, WithAgent: c.WithAgent, WithBot: c.WithBot,
		Waiting: c.Waiting, Visitors: c.Visitors, LoggedIn: c.LoggedIn, Utilization: double(c.Utilization),
	}, nil
}
