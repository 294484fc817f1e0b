package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/stream"
)

// Bounds of a question for a board.
const (
	defaultBoardRows = 1000
	maxBoardRows     = 5000
	maxBoardPicks    = 200 // values of one filter
	defaultInTime    = 20  // s
)

// boardDelay is at least between two messages to one stream.
const boardDelay = 250 * time.Millisecond

// boardQuery is what a request for a board asks for.
type boardQuery struct {
	departments, groups, queues []string // nil: all
	limit                       int
	inTime                      int64 // s; of queues only
	hideNumbers                 bool
}

// boardKind makes the rows and the summary of a kind of board.
type boardKind struct {
	name string
	show func(*live.Board, *boardQuery) *boardPage
}

var (
	agentsBoard = boardKind{"agents", showAgents}
	queuesBoard = boardKind{"queues", showQueues}
)

// BoardAgents is GET /v1/boards/agents: all agents as they are now, as JSON, or as
// server-sent events if that is what Accept names.
func (a *API) BoardAgents(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	a.board(w, r, c, &agentsBoard)
}

// BoardQueues is GET /v1/boards/queues: all queues as they are now, in the same forms.
func (a *API) BoardQueues(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	a.board(w, r, c, &queuesBoard)
}

// WantsEvents reports whether a request asks for server-sent events.
func WantsEvents(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

func (a *API) board(w http.ResponseWriter, r *http.Request, c access.Caller, k *boardKind) {
	q, err := readBoard(r, c, k)
	if err == nil && WantsEvents(r) {
		err = a.streamBoard(w, r, c, k, q)
	} else if err == nil {
		var page *boardPage
		if page, err = a.boardNow(r, c, k, q); err == nil {
			a.answer(w, r, http.StatusOK, page.whole(page.now))
			return
		}
	}
	if err != nil {
		a.fail(w, r, err)
	}
}

func readBoard(r *http.Request, c access.Caller, k *boardKind) (*boardQuery, error) {
	names := []string{"department", "group", "queue", "limit"}
	if k == &queuesBoard {
		names = append(names, "inTime")
	}
	values, err := query(r, names...)
	if err != nil {
		return nil, err
	}

	q := &boardQuery{hideNumbers: !listsNumbers(c)}
	for name, into := range map[string]*[]string{"department": &q.departments, "group": &q.groups, "queue": &q.queues} {
		if *into, err = textsOf(values, name); err != nil {
			return nil, err
		}
	}
	limit, err := intOf(values, "limit", defaultBoardRows, 1, maxBoardRows)
	if err != nil {
		return nil, err
	}
	q.limit = int(limit)
	q.inTime, err = intOf(values, "inTime", defaultInTime, 1, 86_400)
	return q, err
}

// textsOf reads texts separated by commas, in the order of their code points; nil: the
// parameter is not given.
func textsOf(values url.Values, name string) (all []string, err error) {
	for text := range strings.SplitSeq(values.Get(name), ",") {
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, text)
		}
	}
	if len(all) > maxBoardPicks {
		return nil, problem.Field(http.StatusBadRequest, name, fmt.Sprintf("must not have more than %d values", maxBoardPicks))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// intOf reads a whole number from least to most; absent if it is not given.
func intOf(values url.Values, name string, absent, least, most int64) (int64, error) {
	s := values.Get(name)
	if s == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		return 0, problem.Field(http.StatusBadRequest, name, fmt.Sprintf("must be a number from %d to %d", least, most))
	}
	return n, nil
}

// moment returns the moment that a query is about, Unix ms. A test may set it.
func (a *API) moment(r *http.Request) (int64, error) {
	now, err := a.Kit.Now(r)
	if err != nil {
		return 0, problem.Field(http.StatusBadRequest, dialect.NowHeader, "must be a time in Unix milliseconds")
	}
	return now, nil
}

// boardNow returns the board at the moment that the request is about.
func (a *API) boardNow(r *http.Request, c access.Caller, k *boardKind, q *boardQuery) (*boardPage, error) {
	now, err := a.moment(r)
	if err != nil {
		return nil, err
	}
	ctx, stop := dialect.Bound(r)
	defer stop()
	return a.boardAt(ctx, c.Tenant, k, q, now)
}

func (a *API) boardAt(ctx context.Context, tenant int64, k *boardKind, q *boardQuery, now int64) (*boardPage, error) {
	zone, err := a.Kit.Zone(tenant)
	if err != nil {
		return nil, err
	}
	as, err := a.wait(ctx, tenant)
	if err != nil {
		return nil, err
	}
	board, err := a.Kit.Boards.At(ctx, tenant, now, zone)
	if err != nil {
		return nil, err
	}
	page := k.show(board, q)
	page.now = now
	page.fresh = as
	return page, nil
}

// streamBoard answers with a board as server-sent events: first all of it, then what
// changes, and a ping at least every five seconds. Streams that ask for the same share one
// view.
func (a *API) streamBoard(w http.ResponseWriter, r *http.Request, c access.Caller, k *boardKind, q *boardQuery) error {
	// A test may set the moment of the full message alone.
	var first live.Page
	if r.Header.Get(dialect.NowHeader) != "" {
		page, err := a.boardNow(r, c, k, q)
		if err != nil {
			return err
		}
		page.fixed = true
		first = page
	}

	show := func(ctx context.Context, now int64) (live.Page, error) { return a.boardAt(ctx, c.Tenant, k, q, now) }
	view := live.View{Tenant: c.Tenant, Key: fmt.Sprintf("native %s %q", k.name, fmt.Sprint(*q)), Delay: boardDelay, Show: show}
	s, err := a.Watches.Open(view, "", first)
	if err != nil {
		return watchProblem(err)
	}
	defer s.Close()

	// Until the whole board is there, an error can still be answered as one.
	select {
	case <-r.Context().Done():
		return r.Context().Err()
	case whole, open := <-s.C():
		if !open {
			return watchProblem(s.Err())
		}
		out := stream.NewEvents(w, "text/event-stream")
		defer out.Release()
		out.Beat, out.Holds = a.Beat, func() bool { return a.holds(c) }
		if out.Send(whole) != nil {
			return nil
		}
		err := stream.Follow(r.Context(), out, s.C(), func(m []byte) ([]byte, error) { return m, nil })
		if errors.Is(err, stream.ErrRevoked) {
			_ = out.Send([]byte("event: ended\ndata: {\"reason\":\"the key holds no longer\"}\n\n"))
		}
		return nil // however it ends, the client connects again and is shown all of it
	}
}

// watchProblem returns what the end of a stream, or that none could be opened, is to the
// caller.
func watchProblem(err error) error {
	full, isFull := errors.AsType[live.Full](err)
	switch {
	case isFull:
		return &problem.Details{Status: http.StatusTooManyRequests, Detail: full.Error(), RetryAfter: time.Second}
	case errors.Is(err, live.ErrStopping):
		return &problem.Details{Status: http.StatusServiceUnavailable, Detail: err.Error(), RetryAfter: time.Second}
	}
	return err
}

// fresh is how fresh figures are.
type fresh struct {
	AsOf   *Time `json:"asOf"`   // when the last event was accepted that they have; null: there is none
	Behind int64 `json:"behind"` // events that they do not have yet; 0: they are whole
}

// foldWait is for how long a query waits at most until figures have all events.
const foldWait = 2 * time.Second

// wait waits until the figures of a tenant have all events that were accepted before, but
// not for long, and returns how fresh they are then.
func (a *API) wait(ctx context.Context, tenant int64) (fresh, error) {
	as, err := a.Wait(ctx, tenant, foldWait)
	return fresh{timeOrNone(as.At), as.Behind}, err
}

// pingEvery is how often a stream of a board hears at least that it is up to date.
const pingEvery = 5000 // ms

// boardPage is a board, or the rows of it that are asked for, at a moment. Rows and
// summary are JSON, which says whether they are the same.
type boardPage struct {
	rows    []boardRow
	total   int // rows on the whole board that match
	summary json.RawMessage
	fresh   fresh
	now     int64
	fixed   bool // now is what a test has set
}

// boardRow is a row. Its id is in the JSON, too.
type boardRow struct {
	id   string
	json json.RawMessage
}

// newPage makes a page of the rows that are shown of so many that match.
func newPage[V any](views []V, id func(*V) string, summary any, total int) *boardPage {
	p := &boardPage{rows: make([]boardRow, len(views)), total: total, summary: marshal(summary)}
	for i := range views {
		p.rows[i] = boardRow{id(&views[i]), marshal(views[i])}
	}
	return p
}

// marshal returns the JSON of a struct of texts, numbers and lists, which always marshals.
func marshal(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("api: " + err.Error())
	}
	return raw
}

// wholeBoard is the answer, and the first message of a stream.
type wholeBoard struct {
	Rev int64 `json:"rev,omitempty"` // of streams
	Now Time  `json:"now"`
	fresh
	Total   int               `json:"total"`
	Summary json.RawMessage   `json:"summary"`
	Data    []json.RawMessage `json:"data"`
}

func (p *boardPage) whole(now int64) wholeBoard {
	b := wholeBoard{Now: timeOf(now), fresh: p.fresh, Total: p.total, Summary: p.summary, Data: make([]json.RawMessage, len(p.rows))}
	for i := range p.rows {
		b.Data[i] = p.rows[i].json
	}
	return b
}

// boardChange is every other message of a stream but pings. Rows that are not in it are as
// they were.
type boardChange struct {
	Rev int64 `json:"rev"`
	Now Time  `json:"now"`
	fresh
	Total   int               `json:"total"`
	Summary json.RawMessage   `json:"summary,omitempty"` // if it changed
	Changed []json.RawMessage `json:"changed,omitempty"` // rows that are new or not as they were
	Removed []string          `json:"removed,omitempty"` // ids
	Order   []string          `json:"order,omitempty"`   // ids of all rows, if their order changed
}

type boardPing struct {
	Rev int64 `json:"rev"`
	Now Time  `json:"now"`
	fresh
}

// Same implements live.Page. Pages of different beats differ, so that each beat has a
// message.
func (p *boardPage) Same(o live.Page) bool {
	was := o.(*boardPage)
	return p.now/pingEvery == was.now/pingEvery && p.shows(was)
}

// shows reports whether two pages have the same rows and summary.
func (p *boardPage) shows(was *boardPage) bool {
	same := func(x, y boardRow) bool { return x.id == y.id && string(x.json) == string(y.json) }
	return p.total == was.total && string(p.summary) == string(was.summary) && slices.EqualFunc(p.rows, was.rows, same)
}

// Full implements live.Page.
func (p *boardPage) Full(s live.Stamp) ([]byte, error) {
	now := s.At
	if p.fixed {
		now = p.now
	}
	b := p.whole(now)
	b.Rev = s.ID
	return eventOf("board", s, b)
}

// Since implements live.Page.
func (p *boardPage) Since(o live.Page, s live.Stamp) ([]byte, error) {
	was := o.(*boardPage)
	if p.shows(was) {
		return eventOf("ping", s, boardPing{s.ID, timeOf(s.At), p.fresh})
	}

	c := boardChange{Rev: s.ID, Now: timeOf(s.At), fresh: p.fresh, Total: p.total}
	if string(p.summary) != string(was.summary) {
		c.Summary = p.summary
	}
	before := make(map[string]json.RawMessage, len(was.rows))
	for _, r := range was.rows {
		before[r.id] = r.json
	}
	for _, r := range p.rows {
		if json, there := before[r.id]; !there || string(json) != string(r.json) {
			c.Changed = append(c.Changed, r.json)
		}
		delete(before, r.id)
	}
	for _, r := range was.rows {
		if _, gone := before[r.id]; gone {
			c.Removed = append(c.Removed, r.id)
		}
	}
	if !slices.EqualFunc(p.rows, was.rows, func(x, y boardRow) bool { return x.id == y.id }) {
		c.Order = make([]string, len(p.rows))
		for i, r := range p.rows {
			c.Order[i] = r.id
		}
	}
	return eventOf("change", s, c)
}

// eventOf returns a server-sent event.
func eventOf(name string, s live.Stamp, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", s.ID, name, raw), nil
}

// agentView is an agent on a board. Codes are those of events.
type agentView struct {
	ID            string       `json:"id"` // unique on the board
	AgentUUID     string       `json:"agentUUID"`
	AgentID       string       `json:"agentID"`
	Name          string       `json:"name"`
	DepartmentIDs []string     `json:"departmentIds"`
	GroupIDs      []string     `json:"groupIds"`
	QueueIDs      []string     `json:"queueIds"`
	ThisDN        string       `json:"thisDN"`
	PhoneType     int64        `json:"phoneType"`
	ClientType    string       `json:"clientType"`
	LoginStatus   int64        `json:"loginStatus"`
	LoginSince    *Time        `json:"loginSince"`
	Reason        int64        `json:"notReadyStatus"`
	ReasonSince   *Time        `json:"notReadySince"`
	WorkStatus    int64        `json:"workStatus"`
	WorkSince     *Time        `json:"workSince"`
	LoggedInSince *Time        `json:"loggedInSince"` // null: not logged in
	Chats         int          `json:"chats"`         // that the agent handles
	Call          *callOnBoard `json:"call"`          // null: in none
	Today         agentToday   `json:"today"`
}

// agentToday counts calls of today.
type agentToday struct {
	InboundEstablished  int64 `json:"inboundEstablished"`
	InboundAbandoned    int64 `json:"inboundAbandoned"`
	Outbound            int64 `json:"outbound"`
	OutboundEstablished int64 `json:"outboundEstablished"`
}

// callOnBoard is the call that an agent is in.
type callOnBoard struct {
	CallID         string `json:"callID"` // "": unknown
	CallType       int64  `json:"callType"`
	CustomerNumber string `json:"customerNumber"`
	Since          *Time  `json:"since"`
}

// agentsSummary counts the agents that match, and the calls of the whole tenant.
type agentsSummary struct {
	LoggedIn  int64      `json:"loggedIn"`
	LoggedOut int64      `json:"loggedOut"`
	Ready     int64      `json:"ready"` // logged in and ready
	OnCall    int64      `json:"onCall"`
	AfterWork int64      `json:"afterWork"`
	OnBreak   int64      `json:"onBreak"`
	Inbound   int64      `json:"inboundCalls"`
	Outbound  int64      `json:"outboundCalls"`
	Today     agentToday `json:"today"`
}

func showAgents(b *live.Board, q *boardQuery) *boardPage {
	s := agentsSummary{Inbound: b.Inbound, Outbound: b.Outbound}
	var views []agentView
	total := 0
	for i := range b.Rows {
		r := &b.Rows[i]
		if !q.wantsAgent(r) {
			continue
		}
		total++
		s.add(r)
		if len(views) < q.limit {
			views = append(views, q.agent(b, r))
		}
	}
	return newPage(views, func(v *agentView) string { return v.ID }, s, total)
}

// wantsAgent reports whether an agent is asked for: the directory has it in one of the
// departments, one of the groups and one of the queues.
func (q *boardQuery) wantsAgent(r *live.Row) bool {
	var groups, queues []string
	if r.Entry != nil {
		groups, queues = r.Entry.GroupIDs, r.Entry.QueueIDs
	}
	return among(q.departments, r.Departments...) && among(q.groups, groups...) && among(q.queues, queues...)
}

// among reports whether one of the values is wanted; all are if none is named.
func among(wanted []string, values ...string) bool {
	return wanted == nil || slices.ContainsFunc(values, func(v string) bool { return slices.Contains(wanted, v) })
}

func (s *agentsSummary) add(r *live.Row) {
	s.Today.InboundEstablished += r.InboundEstablished
	s.Today.InboundAbandoned += r.InboundAbandoned
	s.Today.Outbound += r.Counters.Outbound
	s.Today.OutboundEstablished += r.OutboundEstablished

	if r.LoggedIn() {
		s.LoggedIn++
	} else {
		s.LoggedOut++
	}
	if r.Login == 1 && r.Work == 1 {
		s.Ready++
	}
	if r.OnCall() {
		s.OnCall++
	}
	if r.Work == 4 {
		s.AfterWork++
	}
	if r.OnBreak() {
		s.OnBreak++
	}
}

func (q *boardQuery) agent(b *live.Board, r *live.Row) agentView {
	v := agentView{
		ID: rowID(r), AgentUUID: r.UUID, AgentID: r.AgentID, Name: r.Name,
		DepartmentIDs: listOf(r.Departments), GroupIDs: []string{}, QueueIDs: []string{},
		ThisDN: r.DN, PhoneType: r.PhoneType, ClientType: r.ClientType,
		LoginStatus: r.Login, LoginSince: timeOrNone(r.LoginAt), Reason: r.Reason, ReasonSince: timeOrNone(r.ReasonAt),
		WorkStatus: r.Work, WorkSince: timeOrNone(r.WorkAt), LoggedInSince: timeOrNone(r.LoggedAt),
		Chats: b.Ongoing(r), Today: agentToday(r.Counters),
	}
	if r.Entry != nil {
		v.GroupIDs, v.QueueIDs = listOf(r.Entry.GroupIDs), listOf(r.Entry.QueueIDs)
	}
	if r.OnCall() {
		v.Call = &callOnBoard{CallID: r.CallID, CallType: r.CallType, CustomerNumber: r.Number, Since: timeOrNone(r.CallSince)}
		if q.hideNumbers {
			v.Call.CallID = event.Partial.Identifier(r.CallID)
			v.Call.CustomerNumber = event.Partial.Number(r.Number)
		}
	}
	return v
}

// rowID returns an id that no two agents share.
func rowID(r *live.Row) string {
	uuid, id := record.SplitKey(r.Key)
	if uuid != "" {
		return "uuid/" + uuid
	}
	return "id/" + id
}

// listOf returns a list that is never null.
func listOf(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}

// queueView is a queue on a board.
type queueView struct {
	ID           string      `json:"id"`
	Name         string      `json:"name"`
	Media        string      `json:"media"` // call, chat, ""
	DepartmentID string      `json:"departmentId"`
	GroupID      string      `json:"groupId"`
	Waiting      int64       `json:"waiting"`
	WaitingSince *Time       `json:"waitingSince"` // when the first of them came; null: nobody waits
	Slots        int64       `json:"slots"`
	Agents       queueAgents `json:"agents"`
	Today        queueToday  `json:"today"`
}

// queueAgents are the agents of a queue that are logged in; each is in one of the four
// others.
type queueAgents struct {
	LoggedIn  int64 `json:"loggedIn"`
	Ready     int64 `json:"ready"`
	OnCall    int64 `json:"onCall"`
	AfterWork int64 `json:"afterWork"`
	Away      int64 `json:"away"`
}

// queueToday are the waits that began today and are over.
type queueToday struct {
	Ended     int64 `json:"ended"`
	Answered  int64 `json:"answered"`
	InTime    int64 `json:"inTime"` // of those answered
	Abandoned int64 `json:"abandoned"`
}

// queuesSummary adds up the queues that match. An agent counts once in each queue.
type queuesSummary struct {
	Waiting      int64      `json:"waiting"`
	WaitingSince *Time      `json:"waitingSince"`
	InTime       int64      `json:"inTimeSeconds"` // within which an answer is in time
	Today        queueToday `json:"today"`
}

func showQueues(b *live.Board, q *boardQuery) *boardPage {
	s := queuesSummary{InTime: q.inTime}
	first := int64(0)
	var views []queueView
	for _, r := range b.Queues(q.inTime * 1000) {
		if !among(q.queues, r.ID) || !among(q.departments, r.Department) || !among(q.groups, r.Group) {
			continue
		}
		today := queueToday{Ended: r.Ended, Answered: r.Answered, InTime: r.InTime, Abandoned: r.Abandoned}
		views = append(views, queueView{
			ID: r.ID, Name: r.Name, Media: r.Media, DepartmentID: r.Department, GroupID: r.Group,
			Waiting: r.Waiting, WaitingSince: timeOrNone(r.Since), Slots: r.Slots,
			Agents: queueAgents{r.LoggedIn, r.Ready, r.OnCall, r.AfterWork, r.Away}, Today: today,
		})

		s.Waiting += r.Waiting
		if r.Since > 0 && (first == 0 || r.Since < first) {
			first = r.Since
		}
		s.Today.Ended += today.Ended
		s.Today.Answered += today.Answered
		s.Today.InTime += today.InTime
		s.Today.Abandoned += today.Abandoned
	}
	s.WaitingSince = timeOrNone(first)
	return newPage(views[:min(q.limit, len(views))], func(v *queueView) string { return v.ID }, s, len(views))
}
