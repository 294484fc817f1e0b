package sobot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
)

// Codes of an agent's state. Reason 1 is in no table of the document, but in its example of
// S9.
var (
	loginCodes  = []int64{-1, 0, 1, 2, 98}
	reasonCodes = []int64{0, 1, 2, 4, 11, 12, 13, 14, 15, 16, 17, 18, 97, 98, 99}
	workCodes   = []int64{0, 1, 2, 4, 5, 6, 7, 8, 98}
)

// statusLog is a row of S9. thisDN and agentType are in the example only;
// notReadyStatus is the callback's name of noReadyStatus.
type statusLog struct {
	ID             string `json:"id"`
	CompanyID      string `json:"companyId"`
	AgentUUID      string `json:"agentUUID"`
	AgentID        string `json:"agentID"`
	AgentName      string `json:"agentName"`
	AgentType      int64  `json:"agentType"` // as in the request
	ThisDN         string `json:"thisDN"`
	StartTime      string `json:"startTime"`
	EndTime        string `json:"endTime"` // "" for a state that lasts
	StartTimeMS    int64  `json:"startTimeMs"`
	EndTimeMS      int64  `json:"endTimeMs"` // 0 for a state that lasts
	Duration       int64  `json:"duration"`  // whole seconds, rounded up; until now for a state that lasts
	LoginStatus    int64  `json:"loginStatus"`
	NoReadyStatus  int64  `json:"noReadyStatus"`
	NotReadyStatus int64  `json:"notReadyStatus"`
	WorkStatus     int64  `json:"workStatus"`
}

// historyPage is the data of S9.
type historyPage struct {
	CurrPage int64       `json:"currPage"`
	PageSize int64       `json:"pageSize"`
	Total    int         `json:"total"`
	PageData []statusLog `json:"pageData"`
}

// searchHistory is S9, "Query Agent Work Status Logs": the stretches, each as long as a state
// did not change, that overlap a range of whole minutes.
func (a *API) searchHistory(ctx context.Context, w http.ResponseWriter, r *http.Request, at moment) error {
	p, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := readHistory(p, at.zone)
	if err != nil {
		return err
	}

	// Agents are picked by what is shown of them, and that is in the directory.
	dir := a.directory(at.Tenant)
	q.filter.Tenant = at.Tenant
	q.filter.Now = at.now
	if q.departments != nil || q.agents != nil {
		q.filter.Agents = func(all []live.Agent) []string { return q.pick(all, dir) }
	}

	stretches, total, err := a.History.FindStretches(ctx, q.filter)
	if err != nil {
		return err
	}

	rows := make([]statusLog, len(stretches))
	for i, s := range stretches {
		who := s.Agent.With(dir)
		rows[i] = statusLog{
			ID: s.ID, CompanyID: at.CompanyID,
			AgentUUID: who.UUID, AgentID: who.AgentID, AgentName: who.Name, AgentType: q.agentType, ThisDN: who.DN,
			StartTime: minute(s.Start, at.zone), StartTimeMS: s.Start, Duration: (s.Length(at.now) + 999) / 1000,
			LoginStatus: s.Login, NoReadyStatus: s.Reason, NotReadyStatus: s.Reason, WorkStatus: s.Work,
		}

		if s.End != record.Open {
			rows[i].EndTime = minute(s.End, at.zone)
			rows[i].EndTimeMS = s.End
		}
	}
	return succeed(w, "AgentHistory", historyPage{q.pageNum, q.pageSize, total, rows})
}

// historyQuery is what a request of S9 asks for.
type historyQuery struct {
	filter            live.HistoryFilter
	departments       []string
	agents            []string
	agentType         int64 // 0: agents are work numbers, 1: UUIDs
	pageNum, pageSize int64
}

// readHistory reads a request of S9.
func readHistory(p *params, loc *time.Location) (q historyQuery, err error) {
	f := &q.filter
	f.From, f.To = p.minute("startTime", loc), p.minute("endTime", loc)

	q.pageNum = p.page(maxRows, "pageNum", "currPage")
	q.pageSize = p.page(maxPageSize, "pageSize")
	q.departments = p.texts("departmentId")
	q.agents = p.texts("agent")
	q.agentType = p.code("agentType", 0, 0, 1)

	f.Login = p.codes(loginCodes, "loginStatus")
	f.Reason = p.codes(reasonCodes, "noReadyStatus", "notReadyStatus")
	f.Work = p.codes(workCodes, "workStatus")

	switch {
	case p.err != nil:
	case f.To < f.From:
		p.refuse("RANGE_INVALID", "endTime", "must not be before startTime")
	case f.To-f.From > maxSpan:
		p.refuse("RANGE_TOO_LARGE", "endTime", "must not be more than 366 days after startTime")
	case q.pageNum*q.pageSize > maxRows:
		p.refuse("PARAM_VALUE", "pageNum", "pageNum * pageSize must not be more than 100000")
	}
	if p.err != nil {
		return q, p.err
	}

	f.To += time.Minute.Milliseconds() // the minute that endTime names belongs to the range
	f.Offset, f.Limit = int((q.pageNum-1)*q.pageSize), int(q.pageSize)
	return q, nil
}

// pick returns the agents that are asked for, by what is shown of them.
func (q *historyQuery) pick(all []live.Agent, dir *directory.Directory) (keys []string) {
	for _, a := range all {
		who := a.With(dir)
		id := who.AgentID
		if q.agentType == 1 {
			id = who.UUID
		}
		if q.agents != nil && (id == "" || !slices.Contains(q.agents, id)) {
			continue
		}
		if q.departments != nil && !inDepartments(dir, who.UUID, q.departments) {
			continue
		}
		keys = append(keys, a.Key)
	}
	return keys
}

// inDepartments reports whether the directory has an agent in one of the departments.
func inDepartments(dir *directory.Directory, uuid string, departments []string) bool {
	agent := dir.Agent(uuid)
	return agent != nil && slices.ContainsFunc(agent.DepartmentIDs, func(id string) bool {
		return slices.Contains(departments, id)
	})
}

const minuteFormat = "2006-01-02 15:04"

// minute shows a time as a minute on the wall.
func minute(ms int64, loc *time.Location) string {
	return time.UnixMilli(ms).In(loc).Format(minuteFormat)
}

var blanksAtColon = regexp.MustCompile(`[ \t]*:[ \t]*`)

// minute reads a required time as yyyy-MM-dd HH:mm, and returns it in Unix ms. The document's
// examples have blanks around the colon.
func (p *params) minute(name string, loc *time.Location) int64 {
	_, v := p.given(name)
	if !p.required(name, v) {
		return 0
	}
	if v[0] != '"' {
		p.refuse("PARAM_TYPE", name, "must be a string")
		return 0
	}

	wall, err := time.Parse(minuteFormat, blanksAtColon.ReplaceAllString(v.Text(), ":"))
	if err != nil || wall.Year() < 1 {
		p.refuse("PARAM_VALUE", name, "must be a time as yyyy-MM-dd HH:mm")
		return 0
	}
	return live.AtWall(wall, loc).UnixMilli()
}

// maxItems is the most items that a list may have.
const maxItems = 1000

// items reads a list: an array, a text that holds an array, or a text with commas.
func (p *params) items(names ...string) (name string, items []event.Value) {
	name, v := p.given(names...)
	if v == nil {
		return name, nil
	}

	raw := []byte(v)
	if v[0] == '"' && strings.HasPrefix(v.Text(), "[") {
		raw = []byte(v.Text())
	}
	if raw[0] == '[' {
		var all []json.RawMessage
		if json.Unmarshal(raw, &all) != nil {
			p.refuse("PARAM_TYPE", name, "must be a list")
			return name, nil
		}
		for _, i := range all {
			items = append(items, event.Value(i))
		}
	} else {
		s := v.Text()
		if s == "" {
			p.refuse("PARAM_TYPE", name, "must be a list")
			return name, nil
		}
		for i := range strings.SplitSeq(strings.TrimRight(s, "; "), ",") {
			// The document writes agents=1001,=1002.
			items = append(items, appendText(nil, strings.TrimLeft(strings.TrimSpace(i), "=")))
		}
	}

	if len(items) > maxItems {
		p.refuse("PARAM_VALUE", name, fmt.Sprintf("must not have more than %d items", maxItems))
		return name, nil
	}
	return name, items
}

// texts reads a list of texts and leaves out empty and repeated ones. It returns nil for a
// list that is missing or empty.
func (p *params) texts(names ...string) (all []string) {
	name, items := p.items(names...)
	for _, i := range items {
		s := i.Text()
		switch {
		case s == "" && i[0] != '"' && i[0] != 'n':
			p.refuse("PARAM_TYPE", name, "must be a list of strings")
		case len(s) > maxText:
			p.refuse("PARAM_VALUE", name, fmt.Sprintf("must not have a text longer than %d bytes", maxText))
		case s != "" && !slices.Contains(all, s):
			all = append(all, s)
		}
	}
	return all
}

// codes reads a list of codes, each of which must be allowed.
func (p *params) codes(allowed []int64, names ...string) (all []int64) {
	name, items := p.items(names...)
	for _, i := range items {
		if i[0] == 'n' || i[0] == '"' && i.Text() == "" {
			continue
		}
		n, ok := p.integer(name, i)
		switch {
		case !ok:
			return nil
		case !slices.Contains(allowed, n):
			p.refuse("PARAM_VALUE", name, "must be of "+list(allowed))
		case !slices.Contains(all, n):
			all = append(all, n)
		}
	}
	return all
}
