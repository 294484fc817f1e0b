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

// watchPath is S10.
const watchPath = "/callservice/v6/webmsg/monitoring/_watch/agents-metrics"

// watchMetrics is S10, "Push Agent Indicator": a stream of server-sent events. The
// first message is what S11 answers, the others are what has changed in it since.
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

	zone := r.Header.Get("timezoneid")
	var board *live.Board // that the page is of
	var page *metricsState
	s, err := a.Watches.Open(live.View{
		Tenant: c.Tenant, Key: q.name() + " " + zone, Delay: q.delay,
		Show: func(ctx context.Context, now int64) (live.Page, error) {
			loc, err := a.zoneOf(zone, c.Tenant) // that of the tenant may change
			if err != nil {
				return nil, err
			}
			is, err := a.Boards.At(ctx, c.Tenant, now, loc)
			if err != nil {
				return nil, err
			}
			if is != board {
				board, page = is, q.show(&is.AgentBoard, c.CompanyID)
			}
			return page, nil
		},
	}, q.key, first)
	if err != nil {
		return err
	}
	defer s.Close()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case full, open := <-s.C():
		if !open {
			return s.Err()
		}
		out := stream.NewEvents(w, "text/event-stream;charset=utf-8")
		defer out.Release()
		out.Beat, out.Holds = a.Beat, func() bool { return a.Holds(c) }
		if out.Send(full) == nil {
			// However it ends: the client connects again, and is shown all of it.
			_ = stream.Follow(r.Context(), out, s.C(), func(m []byte) ([]byte, error) { return m, nil })
		}
		return nil
	}
}

// name tells queries apart that show different things.
func (q *watched) name() string {
	return fmt.Sprintf("%q %d %q %v %v %v %s %t %d %d", q.departments, q.agentType, q.agents, q.work, q.busy, q.login, q.sort, q.down, q.pageNum, q.pageSize)
}

// metricsState is what S10 and S11 show at a moment.
type metricsState struct {
	company string
	sum     summary
	list    metricsList
	at      int64 // of the full message, where a test set it; 0: when it is sent
}

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

// change is one step of an increment, to be made after those before it. The
// document knows "replace" alone: of one value, id being the agent's, or "" for
// what is in no list. Rows that come to the page are added, those that leave it
// are removed, those that move within it are both: Index is where an added row is
// put, counted from 0.
type change struct {
	Op    string `json:"op"`
	ID    string `json:"id"`
	Path  string `json:"path"`
	Index *int   `json:"index,omitempty"`
	Value any    `json:"value,omitempty"`
}

const listPath = "agentsMetrics/list"

// id of a row in increments.
func (r *agentMetrics) id() string {
	if r.AgentUUID == "" {
		return r.AgentID
	}
	return r.AgentUUID
}

// Since implements live.Page.
func (p *metricsState) Since(o live.Page, s live.Stamp) ([]byte, error) {
	was := o.(*metricsState)
	before, after := was.list.index(), p.list.index()
	if before == nil || after == nil {
		return p.Full(s) // an id that means two rows tells nothing
	}
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

// message is a server-sent event.
func message(s live.Stamp, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "id: %d\ndata: %s\n\n", s.ID, raw), nil
}

// index is where each row is, by id; nil: some have the same.
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

// stay are the rows, by id, that need not move to where after has them: as many as
// can be, in ascending order of their new places.
func (l *metricsList) stay(after map[string]int) map[string]bool {
	goesOn := make([]int, len(l.List)) // the row before each in its chain; -1: none
	var ends []int                     // by length: the row that ends the chain whose last place is the least
	for i := range l.List {
		to, there := after[l.List[i].id()]
		if !there {
			continue
		}
		n, _ := slices.BinarySearchFunc(ends, to, func(row, to int) int { return cmp.Compare(after[l.List[row].id()], to) })
		goesOn[i] = -1
		if n > 0 {
			goesOn[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		}
		ends[n] = i
	}
	stay := make(map[string]bool, len(ends))
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = goesOn[i] {
			stay[l.List[i].id()] = true
		}
	}
	return stay
}

type member struct {
	name  string
	value any
}

// differ gives the fields of a row or summary that are not as they were, with
// their names in JSON.
func differ[T comparable](was, is *T) []member {
	if *was == *is {
		return nil
	}
	return differing(nil, reflect.ValueOf(was).Elem(), reflect.ValueOf(is).Elem())
}

// differing adds to all. An embedded field that one beside it hides is in the JSON
// all the same, by another name.
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
