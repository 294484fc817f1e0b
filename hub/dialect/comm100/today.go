package comm100

import (
	"context"

	"github.com/hookline/hookline/hub/live"
)

// day is Today, misspelt as the document does.
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
		d.Requests, d.Total, d.Chats, double(d.AcceptanceRate), d.Abandoned, d.Switched, d.Missed, double(d.WaitTime), double(d.ChatTime),
		double(d.ResponseTime), d.Invited, double(d.Accessibility), d.DepartmentTransfers, d.Transfers, double(d.UniqueRate),
		double(d.Utilization), double(d.Rating),
	}
}

// present is RightNow. The document's table calls chatUtilization an int, and its
// sample shows 0.0.
type present struct {
	AgentsInChat int    `json:"agentsInChat"`
	Ongoing      int    `json:"ongoingChats"`
	WithAgent    int    `json:"ongoingChatsWithAgent"`
	WithBot      int    `json:"ongoingChatsWithBot"`
	Waiting      int    `json:"currentQueueLength"`
	Visitors     int    `json:"visitorOnSite"`
	LoggedIn     int    `json:"loggedInAgents"`
	Utilization  double `json:"chatUtilization"`
}

// rightNow checks its parameters, and does not depend on them.
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
	return present{c.AgentsInChat, c.Ongoing, c.WithAgent, c.WithBot, c.Waiting, c.Visitors, c.LoggedIn, double(c.Utilization)}, nil
}
