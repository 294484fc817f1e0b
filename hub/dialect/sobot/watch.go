package sobot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/stream"
)

// watchPath is that of S10.
const watchPath = "/callservice/v6/webmsg/monitoring/_watch/agents-metrics"

// watchMetrics answers S10, "Push Agent Indicator", with a stream of server-sent events.
// The first message is what S11 answers, each other one what has changed since the one
// before.
func (a *API) watchMetrics(ctx context.Context, w http.ResponseWriter, r *http.Request, at moment) error {
	c := at.Caller
	q, err := readMetrics(r, c)
	if err != nil {
		return err
	}

	// A test may set the moment of the full message alone: increments are about the
	// time at which they come.
	var first live.Page
	if r.Header.Get(dialect.NowHeader) != "" {
		then, err := a.metrics(ctx, &q, at)
		if err != nil {
			return err
		}
		then.at = at.now
		first = then
	}

	// Streams that ask for the same share one view, which keeps its page as long as the
	// board stays the same. The zone is read each time: a tenant may set another one.
	zoneID := r.Header.Get("timezoneid")
	var board *live.Board
	var page *metricsState
	show := func(ctx context.Context, now int64) (live.Page, error) {
		zone, err := a.zoneOf(zoneID, c.Tenant)
		if err != nil {
			return nil, err
		}
		current, err := a.Boards.At(ctx, c.Tenant, now, zone)
		if err != nil {
			return nil, err
		}
		if current != board {
			board = current
			page = q.show(&current.AgentBoard, c.CompanyID)
		}
		return page, nil
	}
	view := live.View{Tenant: c.Tenant, Key: q.name() + " " + zoneID, Delay: q.delay, Show: show}
	s, err := a.Watches.Open(view, q.key, first)
	if err != nil {
		return err
	}
	defer s.Close()

	// Until the full message is there, an error can still be answered as one.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case full, open := <-s.C():
		if !open {
			return s.Err()
		}
		out := stream.NewEvents(w, "text/event-stream;charset=utf-8")
		defer out.Release()
		out.Beat = a.Beat
		out.Holds = func() bool { return a.Holds(c) }
		if out.Send(full) == nil {
			// However it ends, the client connects again and is shown all of it.
			_ = stream.Follow(r.Context(), out, s.C(), func(m []byte) ([]byte, error) { return m, nil })
		}
		return nil
	}
}

// name returns a text that differs for queries that show different things.
func (q *metricsQuery) name() string {
	return fmt.Sprintf("%q %d %q %v %v %v %s %t %d %d",
		q.departments, q.agentType, q.agents, q.work, q.busy, q.login, q.sort, q.down, q.pageNum, q.pageSize)
}

// metricsState is what S10 and S11 show at a moment.
type metricsState struct {
	company string
	sum     summary
	list    metricsList
	at      int64 // the time of the full message when a test has set it, else 0
}

// full returns all of it, as of a time.
func (p *metricsState) full(at int64) metricsPage {
	return metricsPage{"EventAgentsMetricsWatch", p.company, at, p.sum, p.list}
}

// Same implements live.Page.
func (p *metricsState) Same(o live.Page) bool {
	was := o.(*metricsState)
	return p.sum == was.sum && p.list.Total == was.list.Total && slices.Equal(p.list.List, was.list.List)
}

// Full implements live.Page.
func (p *metricsState) Full(s live.Stamp) ([]byte, error) {
	return message(s, p.full(cmp.Or(p.at, s.At)))
}

// metricsChange is an increment.
type metricsChange struct {
	MessageID    string   `json:"MessageID"`
	CompanyID    string   `json:"companyId"`
	CreationTime int64    `json:"creationTime"`
	List         []change `json:"list"`
}

// change is one step of an increment, which is made after the steps before it.
//
// The document knows "replace" only. It is about one value; ID is the agent's, or "" for
// what is in no list. A row that comes to the page is added, one that leaves it is
// removed, and one that moves within it is removed and added. Index is where a row is
// added, counted from 0.
type change struct {
	Op    string `json:"op"`
	ID    string `json:"id"`
	Path  string `json:"path"`
	Index *int   `json:"index,omitempty"`
	Value any    `json:"value,omitempty"`
}

const listPath = "agentsMetrics/list"

// id returns the id of a row in increments.
func (r *agentMetrics) id() string {
	if r.AgentUUID == "" {
		return r.AgentID
	}
	return r.AgentUUID
}

// Since implements live.Page.
func (p *metricsState) Since(o live.Page, s live.Stamp) ([]byte, error) {
	was := o.(*metricsState)
	before := was.list.index()
	after := p.list.index()
	if before == nil || after == nil {
		return p.Full(s) // an id that means two rows cannot say which of them changed
	}

	// First the rows that leave their place, so that those that come have an index in
	// what is left.
	var list []change
	stay := was.list.stay(after)
	for i := range was.list.List {
		if id := was.list.List[i].id(); !stay[id] {
			list = append(list, change{Op: "remove", ID: id, Path: listPath})
		}
	}

	for i := range p.list.List {
		row := &p.list.List[i]
		if !stay[row.id()] {
			list = append(list, change{Op: "add", ID: row.id(), Path: listPath, Index: &i, Value: row})
			continue
		}
		for _, f := range differ(&was.list.List[before[row.id()]], row) {
			list = append(list, change{Op: "replace", ID: row.id(), Path: listPath + "/" + f.name, Value: f.value})
		}
	}

	if was.list.Total != p.list.Total {
		list = append(list, change{Op: "replace", Path: "agentsMetrics/total", Value: p.list.Total})
	}
	for _, f := range differ(&was.sum, &p.sum) {
		list = append(list, change{Op: "replace", Path: "agentsSummary/" + f.name, Value: f.value})
	}
	if list == nil {
		return nil, nil
	}
	return message(s, metricsChange{"EventAgentsMetricsChanged", p.company, s.At, list})
}

// message returns a server-sent event.
func message(s live.Stamp, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "id: %d\ndata: %s\n\n", s.ID, raw), nil
}

// index returns where each row is, by id; nil when two of them have the same id.
func (l *metricsList) index() map[string]int {
	at := make(map[string]int, len(l.List))
	for i := range l.List {
		at[l.List[i].id()] = i
	}
	if len(at) < len(l.List) {
		return nil
	}
	return at
}

// stay returns the ids of rows that need not move to get to where after has them: a
// longest chain of rows whose new places ascend. All other rows are taken out and put in
// again, so that the longest chain makes the fewest changes.
func (l *metricsList) stay(after map[string]int) map[string]bool {
	// previous is the row before each in its chain, -1 for the first of a chain. ends
	// has, for each length, the row that ends the chain with the smallest last place.
	previous := make([]int, len(l.List))
	var ends []int
	for i := range l.List {
		to, there := after[l.List[i].id()]
		if !there {
			continue
		}
		n, _ := slices.BinarySearchFunc(ends, to, func(row, to int) int { return cmp.Compare(after[l.List[row].id()], to) })
		previous[i] = -1
		if n > 0 {
			previous[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		}
		ends[n] = i
	}

	stay := make(map[string]bool, len(ends))
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = previous[i] {
			stay[l.List[i].id()] = true
		}
	}
	return stay
}

// member is a member of a JSON object.
type member struct {
	name  string
	value any
}

// differ returns the fields of a row or summary that are not as they were, with their
// names in JSON.
func differ[T comparable](was, is *T) []member {
	if *was == *is {
		return nil
	}
	return differing(nil, reflect.ValueOf(was).Elem(), reflect.ValueOf(is).Elem())
}

// differing appends to all the fields that are not as they were. Go hides a field of an
// embedded struct behind one of the same name; in JSON both have names of their own.
func differing(all []member, was, is reflect.Value) []member {
	for i := range is.NumField() {
		switch f := is.Type().Field(i); {
		case f.Anonymous:
			all = differing(all, was.Field(i), is.Field(i))
		case !is.Field(i).Equal(was.Field(i)):
			all = append(all, member{f.Tag.Get("json"), is.Field(i).Interface()})
		}
	}
	return all
}
