package comm100

import (
	"cmp"
	"context"
	"slices"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
)

// Ids of the statuses that every site has. The document's sample has the first for
// agents with chats and the last for those without: what is between is away.
const (
	statusOnline  = "00000000-0000-0000-0000-000000000000"
	statusAway    = "00000000-0000-0000-0000-000000000001"
	statusOffline = "00000000-0000-0000-0000-000000000002"
)

// agentPage is paged, though the document lists no such parameters: its sample shows
// a page of 5.
type agentPage struct {
	Total     int     `json:"total"`
	PageCount int     `json:"pageCount"`
	List      []agent `json:"list"`
	PageIndex int     `json:"pageIndex"`
	PageSize  int     `json:"pageSize"`
}

type agent struct {
	AgentID       string          `json:"agentId"`
	DisplayName   string          `json:"displayName"`
	StatusID      string          `json:"currentStatusId"`
	Ongoing       int             `json:"ongoingChats"`
	MaxConcurrent int64           `json:"maxConcurrentChats"`
	Intraday      int             `json:"intradayChats"`
	LinearTime    span            `json:"intradayLinearChatTime"`
	Distribution  map[string]span `json:"statusDistribution"`
}

const (
	defaultPage = 5 // as the document's own request without parameters is answered
	maxPage     = 100
	maxPages    = 1_000_000
)

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
	for _, r := range rows[from:min(from+out.PageSize, len(rows))] {
		had := tally.Of(r.Key)
		row := agent{
			AgentID: r.AgentID, DisplayName: r.Name, StatusID: q.settings.status(r.State), Ongoing: p.Ongoing(r), MaxConcurrent: r.MaxChats(),
			Intraday: had.Accepted, LinearTime: span(had.Time), Distribution: map[string]span{},
		}
		if r.UUID != "" {
			row.AgentID = r.UUID
		}
		if r.Listed != nil && r.Listed.ChatAgentID != "" {
			row.AgentID = r.Listed.ChatAgentID
		}
		for id, ms := range tally.Statuses(r.Key) {
			row.Distribution[id] = span(ms)
		}
		out.List = append(out.List, row)
	}
	return out, nil
}

// pick the agents of a department, given by its id or guid; "": all.
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

// status is the id of an agent's state.
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
