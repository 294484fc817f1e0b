package deepcall

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/live"
)

// queueData is the data of liveQueue/count, in the order of the example. The example has no
// figures, with which its table begins: they come when fields is sent.
type queueData struct {
	OnBreak    int              `json:"onB"`
	OnCall     int              `json:"onC"`
	Web        int              `json:"web"`
	Agents     int              `json:"agTc"`
	Size       int              `json:"size"`
	Groups     []string         `json:"grp"`
	AgentNames []string         `json:"ag"`
	States     []string         `json:"st"`
	Strategies map[string]int64 `json:"str"`
	Types      map[string]int64 `json:"ctyp"`
	Campaigns  []string         `json:"campId"`
	Waits      []string         `json:"qDura"`
	Numbers    []string         `json:"did"`
	figures
	BreakDown []row `json:"breakDown,omitzero"`
	Series    []row `json:"series,omitzero"`
}

// figures are what fields may name; nil: it does not name it. Times are whole seconds.
type figures struct {
	Total     *int64 `json:"TC,omitempty"`  // calls of today
	Active    *int64 `json:"AC,omitempty"`  // calls in progress
	Wait      *int64 `json:"WT,omitempty"`  // mean of the calls that wait, until now
	Talk      *int64 `json:"AT,omitempty"`  // mean of today's answered parties
	Handle    *int64 `json:"AHT,omitempty"` // mean of the same, with after-call work
	BreakTime *int64 `json:"ABT,omitempty"` // mean of today's breaks
}

// row is a row of a break-down.
type row struct {
	Key   string  `json:"key"`
	Label *string `json:"label,omitempty"` // when disPlay is sent
	figures
}

var fieldNames = []string{"TC", "AC", "WT", "AT", "AHT", "ABT"}

// dimensions are what figures can be broken down by.
var dimensions = []string{"agentId", "groupId", "did", "campId", "ctype", "status", "date", "hour"}

// queueQuery is what a request of liveQueue/count asks for.
type queueQuery struct {
	filter    filter
	fields    []string // nil: not sent
	breakDown []string // nil: not sent
	display   string   // "": not sent
	inactive  bool
	zone      *time.Location // nil: the tenant's
	groupBy   string         // hourly, daily; "": not sent
}

// readCount reads a request of liveQueue/count.
func readCount(p *params) (q queueQuery, err error) {
	p.only(badParameter, "ssid", "userId", "token", "filter", "extra", "breakDown", "disPlay", "fields", "multi")

	q.filter = p.filter(queueProperties)
	p.extra(&q)
	q.breakDown = p.breakDown(p.flag("multi"))
	q.display = p.text("disPlay")
	if q.display != "" && !slices.Contains(dimensions, q.display) {
		p.refuse(badFilter, "disPlay must be one of %s", strings.Join(dimensions, ", "))
	}
	q.fields = p.fields()
	if p.err != nil {
		return q, p.err
	}
	return q, nil
}

// extra reads the member extra into q.
func (p *params) extra(q *queueQuery) {
	names := map[string]string{"includeInactive": "includeInactive", "timeZone": "timeZone", "groupBy": "groupBy"}
	for _, e := range p.pairs("extra", names) {
		text := textOf(e.value)
		switch e.key {
		case "includeInactive":
			if text != "true" && text != "false" && string(e.value) != "true" && string(e.value) != "false" {
				p.refuse(badFilter, "%s must be \"true\" or \"false\"", e.at)
			}
			q.inactive = text == "true" || string(e.value) == "true"
		case "timeZone":
			q.zone = parseZone(text)
			if q.zone == nil {
				p.refuse(badFilter, "%s must be UTC, UTC+5:30 or a name such as Asia/Singapore", e.at)
			}
		case "groupBy":
			q.groupBy = text
			if text != "hourly" && text != "daily" {
				p.refuse(badFilter, "%s must be hourly or daily", e.at)
			}
		}
	}
}

// breakDown reads the dimensions of a break-down: one, or several if multi is true.
func (p *params) breakDown(multi bool) (all []string) {
	text := p.text("breakDown")
	if text == "" {
		return nil
	}

	for d := range strings.SplitSeq(text, ",") {
		d = strings.TrimSpace(d)
		if d == "st" { // the answer's name for it
			d = "status"
		}
		if !slices.Contains(dimensions, d) || slices.Contains(all, d) {
			p.refuse(badFilter, "breakDown must be one of %s", strings.Join(dimensions, ", "))
			return nil
		}
		all = append(all, d)
	}

	if len(all) > 1 && !multi {
		p.refuse(badFilter, "breakDown must be one field unless multi is true")
	}
	return all
}

// fields reads the names of the figures that are asked for.
func (p *params) fields() (all []string) {
	for i, raw := range p.array("fields") {
		name := textOf(raw)
		if !slices.Contains(fieldNames, name) {
			p.refuse(badFilter, "fields[%d] must be one of %s", i, strings.Join(fieldNames, ", "))
			return nil
		}
		all = append(all, name)
	}
	return all
}

// countQueue is liveQueue/count.
func (a *API) countQueue(r *http.Request, c access.Caller, p *params) (any, error) {
	q, err := readCount(p)
	if err != nil {
		return nil, err
	}

	now, err := a.Now(r)
	if err != nil {
		return nil, err
	}
	if q.zone == nil {
		if q.zone, err = a.Zone(c.Tenant); err != nil {
			return nil, err
		}
	}

	ctx, stop := dialect.Bound(r)
	defer stop()
	board, err := a.Boards.At(ctx, c.Tenant, now, q.zone)
	if err != nil {
		return nil, err
	}

	return struct {
		Data   queueData `json:"data"`
		Status string    `json:"status"`
		Code   int       `json:"code"`
	}{q.count(board, now), "success", http.StatusOK}, nil
}

// count returns the answer of liveQueue/count.
func (q *queueQuery) count(b *live.Board, now int64) queueData {
	pick := q.filter.pick(b)
	n := b.CountQueue(now, pick)
	names, states := waitingFor(b, pick.Waiting)
	d := queueData{
		OnBreak: n.OnBreak, OnCall: n.OnCall, Web: n.Web, Agents: n.Agents, Size: n.Waiting,
		Groups: notNull(n.Groups), AgentNames: names, States: states, Strategies: n.Strategies, Types: n.Types,
		Campaigns: notNull(n.Campaigns), Waits: notNull(n.Waits), Numbers: notNull(n.Numbers),
		figures: pickFigures(&n, q.fields),
	}

	fields := q.fields
	if fields == nil {
		fields = []string{"TC"}
	}
	if q.breakDown != nil {
		d.BreakDown = q.rows(b, now, q.breakDown, fields)
	}
	switch q.groupBy {
	case "hourly":
		d.Series = q.rows(b, now, []string{"hour"}, fields)
	case "daily":
		d.Series = q.rows(b, now, []string{"date"}, fields)
	}
	return d
}

// notNull returns the list, or an empty one for nil.
func notNull(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// pickFigures returns the figures that are named.
func pickFigures(n *live.QueueCounts, fields []string) (f figures) {
	for _, name := range fields {
		switch name {
		case "TC":
			f.Total = new(int64(n.TotalCalls))
		case "AC":
			f.Active = new(int64(n.ActiveCalls))
		case "WT":
			f.Wait = &n.WaitTime
		case "AT":
			f.Talk = &n.TalkTime
		case "AHT":
			f.Handle = &n.HandleTime
		case "ABT":
			f.BreakTime = &n.BreakTime
		}
	}
	return f
}
