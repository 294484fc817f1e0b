package comm100

import (
	"cmp"
	"context"
	"slices"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
)

// Ids of the statuses that every site has. In the document's sample, agents with chats have
// the first, and those without chats the last; the one between means away.
const (
	statusOnline  = "00000000-0000-0000-0000-000000000000"
	statusAway    = "00000000-0000-0000-0000-000000000001"
	statusOffline = "00000000-0000-0000-0000-000000000002"
)

// agentPage is a page of agents. The document has no parameters of pages, but its sample
// shows a page of 5.
type agentPage struct {
	Total     int     `json:"total"`
	PageCount int     `json:"pageCount"`
	List      []agent `json:"list"`
	PageIndex int     `json:"pageIndex"`
	PageSize  int     `json:"pageSize"`
}

type agent struct {
	AgentID       string              `json:"agentId"`
	DisplayName   string              `json:"displayName"`
	StatusID      string              `json:"currentStatusId"`
	Ongoing       int                 `json:"ongoingChats"`
	MaxConcurrent int64               `json:"maxConcurrentChats"`
	Intraday      int                 `json:"intradayChats"`
	LinearTime    timeSpan            `json:"intradayLinearChatTime"`
	Distribution  map[string]timeSpan `json:"statusDistribution"`
}

const (
	defaultPage = 5 // the document's own request, which has no parameters, gets so many
	maxPage     = 100
	maxPages    = 1_000_000
)

// agents answers with a page of agents and their figures of the day.
func (a *API) agents(ctx context.Context, q *query) (any, error) {
	distribution, err := q.flag("includeStatusDistribution")
	if err != nil {
		return nil, err
	}

	w, _, err := q.window(q.now)
	if err != nil {
		return nil, err
	}

	out := agentPage{List: []agent{}}
	if out.PageIndex, err = q.number("pageIndex", 1, maxPages); err != nil {
		return nil, err
	}
	if out.PageSize, err = q.number("pageSize", defaultPage, maxPage); err != nil {
		return nil, err
	}

	p, err := a.Boards.At(ctx, q.Tenant, q.now, q.zone)
	if err != nil {
		return nil, err
	}

	var status func(record.State) string
	if distribution {
		status = q.settings.status
	}
	tally, err := a.Boards.Tally(ctx, q.Tenant, p, w, status)
	if err != nil {
		return nil, err
	}

	rows := q.pick(p, q.text("departmentId"))
	out.Total = len(rows)
	out.PageCount = (out.Total + out.PageSize - 1) / out.PageSize
	from := min((out.PageIndex-1)*out.PageSize, len(rows))

	// An agent's id is the one that Comm100's clients know, if the directory has it.
	for _, r := range rows[from:min(from+out.PageSize, len(rows))] {
		figures := tally.Of(r.Key)
		row := agent{
			AgentID: r.AgentID, DisplayName: r.Name, StatusID: q.settings.status(r.State), Ongoing: p.Ongoing(r),
			MaxConcurrent: r.MaxChats(),
			Intraday:      figures.Accepted, LinearTime: timeSpan(figures.Time), Distribution: map[string]timeSpan{},
		}

		if r.UUID != "" {
			row.AgentID = r.UUID
		}
		if r.Entry != nil && r.Entry.ChatAgentID != "" {
			row.AgentID = r.Entry.ChatAgentID
		}

		for id, ms := range tally.Statuses(r.Key) {
			row.Distribution[id] = timeSpan(ms)
		}

		out.List = append(out.List, row)
	}
	return out, nil
}

// pick returns the agents of a department, which is given by its id or GUID; all for "".
func (q *query) pick(p *live.Board, department string) (rows []*live.Row) {
	ids := []string{department}
	for _, d := range p.Directory().Departments() {
		if d.GUID == department {
			ids = append(ids, d.DepartmentID)
		}
	}

	for i := range p.Rows {
		r := &p.Rows[i]
		if department == "" || slices.ContainsFunc(r.Departments, func(d string) bool { return slices.Contains(ids, d) }) {
			rows = append(rows, r)
		}
	}

	slices.SortFunc(rows, live.CompareRows)
	return rows
}

// status returns the id of an agent's status.
func (s *Settings) status(of record.State) string {
	switch of.Login {
	case 1:
		return statusOnline
	case 2:
		return cmp.Or(s.StatusIDs[of.Reason], statusAway)
	case 98:
		return statusAway
	}
	return statusOffline
}
