package sobot

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/live"
)

// metricsPath is that of S11.
const metricsPath = "/callservice/v6/webmsg/monitoring/agents-metrics"

// agentMetrics is a row of S11, "Agent list". The document's example lacks
// agentID and clientType, which its table has.
type agentMetrics struct {
	AgentUUID       string `json:"agentUUID"`
	AgentID         string `json:"agentID"`
	AgentName       string `json:"agentName"`
	PhoneType       int64  `json:"phoneType"`
	ThisDN          string `json:"thisDN"`
	LoginStatus     int64  `json:"agentLoginStatus"`
	WorkStatus      int64  `json:"agentWorkStatus"`
	BusyReason      int64  `json:"agentBusyReasonCode"`
	WorkChanged     int64  `json:"lastWorkStatusChangedTime"`
	LoginChanged    int64  `json:"lastLoginStatusChangedTime"`
	CustomerNumber  string `json:"customerNumber"`
	CustomerPrivacy string `json:"customerPrivacyNumber"` // always ""
	CallType        int64  `json:"callType"`
	counters
	ClientType string `json:"clientType"`
}

// counters of today.
type counters struct {
	InboundEstablished  int64 `json:"inboundEstablishedCallsCountToday"`
	InboundAbandoned    int64 `json:"inboundAbandonCallsCountToday"`
	Outbound            int64 `json:"outboundCallsCountToday"`
	OutboundEstablished int64 `json:"outboundEstablishedCallsCountToday"`
}

// summary is agentsSummary: the four counters of its table, and the other call
// monitoring indicators, which the document names in its increments and in no table of
// an answer.
type summary struct {
	counters
	Inbound     int64 `json:"inboundCallsCount"`
	Outbound    int64 `json:"outboundCallsCount"`
	Login       int64 `json:"loginAgentsCount"`
	Online      int64 `json:"onlineAgentsCount"`
	Busy        int64 `json:"busyAgentsCount"`
	SysLock     int64 `json:"sysLockAgentsCount"`
	Logout      int64 `json:"logoutAgentsCount"`
	InCall      int64 `json:"inCallAgentsCount"`
	Ready       int64 `json:"readyAgentsCount"`
	Busying     int64 `json:"busyingAgentsCount"`
	Dialing     int64 `json:"dialingAgentsCount"`
	Ringing     int64 `json:"ringingAgentsCount"`
	Established int64 `json:"establishedAgentsCount"`
	Held        int64 `json:"heldAgentsCount"`
	ACW         int64 `json:"acwAgentsCount"`
	SysLocking  int64 `json:"sysLockingAgentsCount"`
}

// metricsPage is the answer of S11, which has no envelope.
type metricsPage struct {
	MessageID     string      `json:"MessageID"`
	CompanyID     string      `json:"companyId"`
	CreationTime  int64       `json:"creationTime"`
	AgentsSummary summary     `json:"agentsSummary"`
	AgentsMetrics metricsList `json:"agentsMetrics"`
}

type metricsList struct {
	PageNum  int64          `json:"pageNum"`
	PageSize int64          `json:"pageSize"`
	Total    int            `json:"total"`
	List     []agentMetrics `json:"list"`
}

// metricsQuery is what S10 and S11 ask for.
type metricsQuery struct {
	key               string        // Idempotency-Key, as a UUID with dashes
	delay             time.Duration // between increments there is at least this
	departments       []string
	agents            []string
	agentType         int64 // says whether agents are work numbers (0) or UUIDs (1)
	work, busy, login []int64
	sort              string
	down              bool
	pageNum, pageSize int64
}

// getMetrics answers S11, "View Agent Indicator". Its Idempotency-Key changes nothing:
// a request that comes again gets an answer of its own time.
func (a *API) getMetrics(ctx context.Context, w http.ResponseWriter, r *http.Request, at moment) error {
	q, err := readMetrics(r, at.Caller)
	if err != nil {
		return err
	}
	shown, err := a.metrics(ctx, &q, at)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, shown.full(at.now))
}

// metrics returns what a query shows at a moment, from all that was accepted before.
func (a *API) metrics(ctx context.Context, q *metricsQuery, at moment) (*metricsState, error) {
	present, err := a.Boards.At(ctx, at.Tenant, at.now, at.zone)
	if err != nil {
		return nil, err
	}
	return q.show(&present.AgentBoard, at.CompanyID), nil
}

// readMetrics reads the parameters of S10 and S11.
func readMetrics(r *http.Request, c access.Caller) (q metricsQuery, err error) {
	// The document's sets end in a semicolon, which Go refuses in a query.
	values, err := url.ParseQuery(strings.ReplaceAll(r.URL.RawQuery, ";", "%3B"))
	if err != nil {
		return q, bad("PARAM_VALUE", "query", "is malformed")
	}

	// The document writes its own ids as 32 digits without dashes: one key in both
	// spellings is one key. A browser's EventSource sets no header.
	key := cmp.Or(r.Header.Get("Idempotency-Key"), values.Get("idempotencyKey"))
	if key == "" {
		return q, bad("PARAM_REQUIRED", "Idempotency-Key", "is required")
	}
	id, err := uuid.Parse(key)
	if err != nil || len(key) != 36 && len(key) != 32 {
		return q, bad("PARAM_VALUE", "Idempotency-Key", "must be a UUID: 32 hex digits, with dashes or without")
	}
	q.key = id.String()

	p := &params{}
	q.departments = p.queryTexts(values, "departmentIds")
	q.agentType = p.queryInt(values, "agentType", 0, 0, 1)
	q.agents = p.queryTexts(values, "agents")
	q.work = p.queryCodes(values, "agentWorkStatuses", workCodes)
	q.busy = p.queryCodes(values, "agentBusyReasonCodes", reasonCodes)
	q.login = p.queryCodes(values, "agentLoginStatuses", loginCodes)
	q.sort, q.down = p.querySort(values)

	pageNum := "pageNum"
	if values.Get(pageNum) == "" {
		pageNum = "currPage"
	}
	q.pageNum = p.queryInt(values, pageNum, 1, 1, maxRows)
	q.pageSize = p.queryInt(values, "pageSize", 15, 1, maxPageSize)
	if p.err == nil && q.pageNum*q.pageSize > maxRows {
		p.refuse("PARAM_VALUE", pageNum, "pageNum * pageSize must not be more than 100000")
	}

	if c.Token == access.CompanyToken && strings.TrimSpace(values.Get("operatorUserId")) == "" {
		p.refuse("PARAM_REQUIRED", "operatorUserId", "is required with a company token")
	}
	if strings.TrimSpace(values.Get("product")) == "" {
		p.refuse("PARAM_REQUIRED", "product", "is required")
	}
	q.delay = time.Duration(p.queryInt(values, "delay", 1000, 0, 60_000)) * time.Millisecond
	if p.err != nil {
		return q, p.err
	}
	return q, nil
}

// queryTexts reads a set: x=a,b or x[]=a&x[]=b or x=a&x=b.
func (p *params) queryTexts(values url.Values, name string) (all []string) {
	seen := map[string]bool{}
	for _, v := range slices.Concat(values[name], values[name+"[]"]) {
		for item := range strings.SplitSeq(strings.TrimRight(v, "; "), ",") {
			// The document writes agents=1001,=1002.
			item = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(item), "="))
			if item != "" && !seen[item] {
				seen[item] = true
				all = append(all, item)
			}
		}
	}
	if len(all) > maxItems {
		p.refuse("PARAM_VALUE", name, fmt.Sprintf("must not have more than %d items", maxItems))
		return nil
	}
	return all
}

// queryCodes reads a set of integers that must be among allowed.
func (p *params) queryCodes(values url.Values, name string, allowed []int64) (all []int64) {
	for _, s := range p.queryTexts(values, name) {
		n, err := strconv.ParseInt(s, 10, 64)
		switch {
		case err != nil:
			p.refuse("PARAM_TYPE", name, "must be integers")
		case !slices.Contains(allowed, n):
			p.refuse("PARAM_VALUE", name, "must be of "+list(allowed))
		}
		all = append(all, n)
	}
	return all
}

// queryInt reads an integer from least to most; absent when it is not given.
func (p *params) queryInt(values url.Values, name string, absent, least, most int64) int64 {
	s := strings.TrimSpace(values.Get(name))
	if s == "" {
		return absent
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		p.refuse("PARAM_TYPE", name, "must be an integer")
	case n < least || n > most:
		p.refuse("PARAM_VALUE", name, fmt.Sprintf("must be %d to %d", least, most))
	}
	return n
}

// orders are how the list is sorted by each of its columns, and by agentNumber, the
// document's default, which means the agentID.
var orders = map[string]func(a, b *live.Row) int{
	"agentNumber":                        byNumber,
	"agentID":                            byNumber,
	"agentUUID":                          func(a, b *live.Row) int { return cmp.Compare(a.UUID, b.UUID) },
	"agentName":                          func(a, b *live.Row) int { return cmp.Compare(a.Name, b.Name) },
	"phoneType":                          func(a, b *live.Row) int { return cmp.Compare(a.PhoneType, b.PhoneType) },
	"thisDN":                             func(a, b *live.Row) int { return cmp.Compare(a.DN, b.DN) },
	"agentLoginStatus":                   func(a, b *live.Row) int { return cmp.Compare(a.Login, b.Login) },
	"agentWorkStatus":                    func(a, b *live.Row) int { return cmp.Compare(a.Work, b.Work) },
	"agentBusyReasonCode":                func(a, b *live.Row) int { return cmp.Compare(a.Reason, b.Reason) },
	"lastWorkStatusChangedTime":          func(a, b *live.Row) int { return cmp.Compare(a.WorkAt, b.WorkAt) },
	"lastLoginStatusChangedTime":         func(a, b *live.Row) int { return cmp.Compare(a.LoginAt, b.LoginAt) },
	"customerNumber":                     func(a, b *live.Row) int { return cmp.Compare(a.Number, b.Number) },
	"customerPrivacyNumber":              func(_, _ *live.Row) int { return 0 }, // always empty
	"callType":                           func(a, b *live.Row) int { return cmp.Compare(a.CallType, b.CallType) },
	"inboundEstablishedCallsCountToday":  byCounter(func(c *live.Counters) int64 { return c.InboundEstablished }),
	"inboundAbandonCallsCountToday":      byCounter(func(c *live.Counters) int64 { return c.InboundAbandoned }),
	"outboundCallsCountToday":            byCounter(func(c *live.Counters) int64 { return c.Outbound }),
	"outboundEstablishedCallsCountToday": byCounter(func(c *live.Counters) int64 { return c.OutboundEstablished }),
	"clientType":                         func(a, b *live.Row) int { return cmp.Compare(a.ClientType, b.ClientType) },
}

func byNumber(a, b *live.Row) int { return live.CompareNumbers(a.AgentID, b.AgentID) }

func byCounter(of func(*live.Counters) int64) func(a, b *live.Row) int {
	return func(a, b *live.Row) int { return cmp.Compare(of(&a.Counters), of(&b.Counters)) }
}

// querySort reads sort: a column, a comma, and asc or desc.
func (p *params) querySort(values url.Values) (key string, down bool) {
	key, way, _ := strings.Cut(strings.TrimSpace(values.Get("sort")), ",")
	key = cmp.Or(strings.TrimSpace(key), "agentNumber")
	way = cmp.Or(strings.TrimSpace(way), "asc")
	if _, known := orders[key]; !known || way != "asc" && way != "desc" {
		p.refuse("PARAM_VALUE", "sort", "must be a field of the list that can be sorted by, a comma, and asc or desc")
	}
	return key, way == "desc"
}

// show returns the page of a board that is asked for, and the summary of all pages.
func (q *metricsQuery) show(b *live.AgentBoard, company string) *metricsState {
	var rows []*live.Row
	p := &metricsState{company: company, sum: summary{Inbound: b.Inbound, Outbound: b.Outbound}}
	for i := range b.Rows {
		if r := &b.Rows[i]; q.wants(r) {
			rows = append(rows, r)
			p.sum.add(r)
		}
	}

	// A board is in the default order, by number, which also settles ties.
	if order := orders[q.sort]; q.down || q.sort != "agentNumber" && q.sort != "agentID" {
		slices.SortFunc(rows, func(x, y *live.Row) int {
			by := order(x, y)
			if q.down {
				by = -by
			}
			return cmp.Or(by, live.CompareRows(x, y))
		})
	}

	p.list = metricsList{PageNum: q.pageNum, PageSize: q.pageSize, Total: len(rows)}
	from := min(int((q.pageNum-1)*q.pageSize), len(rows))
	page := rows[from:min(from+int(q.pageSize), len(rows))]
	p.list.List = make([]agentMetrics, len(page))
	for i, r := range page {
		p.list.List[i] = agentMetrics{
			AgentUUID: r.UUID, AgentID: r.AgentID, AgentName: r.Name, PhoneType: r.PhoneType, ThisDN: r.DN,
			LoginStatus: r.Login, WorkStatus: r.Work, BusyReason: r.Reason, WorkChanged: r.WorkAt, LoginChanged: r.LoginAt,
			CustomerNumber: r.Number, CallType: r.CallType, counters: counters(r.Counters), ClientType: r.ClientType,
		}
	}
	return p
}

// wants reports whether a row is asked for. A set without items asks for all.
func (q *metricsQuery) wants(r *live.Row) bool {
	agent := r.AgentID
	if q.agentType == 1 {
		agent = r.UUID
	}
	if len(q.agents) > 0 && !slices.Contains(q.agents, agent) {
		return false
	}

	inOne := func(d string) bool { return slices.Contains(q.departments, d) }
	if len(q.departments) > 0 && !slices.ContainsFunc(r.Departments, inOne) {
		return false
	}

	among := func(set []int64, code int64) bool { return len(set) == 0 || slices.Contains(set, code) }
	return among(q.work, r.Work) && among(q.busy, r.Reason) && among(q.login, r.Login)
}

// add counts a row.
func (s *summary) add(r *live.Row) {
	s.InboundEstablished += r.InboundEstablished
	s.InboundAbandoned += r.InboundAbandoned
	s.counters.Outbound += r.Counters.Outbound
	s.OutboundEstablished += r.OutboundEstablished

	switch r.Login {
	case 1:
		s.Online++
	case 2:
		s.Busy++
	case 98:
		s.SysLock++
	}
	if r.LoggedIn() {
		s.Login++
	} else {
		s.Logout++
	}

	switch r.Work {
	case 1:
		s.Ready++
	case 2:
		s.Busying++
	case 4:
		s.ACW++
	case 5:
		s.Dialing++
	case 6:
		s.Ringing++
	case 7:
		s.Established++
	case 8:
		s.Held++
	case 98:
		s.SysLocking++
	}
	if r.OnCall() {
		s.InCall++
	}
}
