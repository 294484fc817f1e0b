package deepcall

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/live"
)

// agentList is the message of Agent/live, with its fields in the order of the example.
type agentList struct {
	Agents  []agent `json:"pr"`
	OnCall  int     `json:"oCA"`
	OnBreak int     `json:"oBA"`
	Login   int     `json:"lA"`
	WrapUp  int     `json:"Dia"` // agents in after-call work, as its table says, whatever the name suggests
	Ring    int     `json:"Ring"`
	SIP     int     `json:"sip"`
	Mic     int     `json:"mic"`
}

// agent is an agent of the list. A request with A: 1 also gets the fields that only the table has.
type agent struct {
	Name      string `json:"nm"`
	ID        string `json:"I"`
	Occupied  int    `json:"IsOcc"`
	Login     any    `json:"l"`  // login, or "No"
	Mobile    string `json:"ml"` // Yes, No
	Available clock  `json:"avT"`
	Since     int64  `json:"avD"` // Unix s
	Mic       int    `json:"mic_perm"`
	SIP       string `json:"sip_status"` // online, offline
	TalkTime  *int64 `json:"tt,omitempty"`
	Calls     *int64 `json:"tC,omitempty"`
	Average   *clock `json:"ataT,omitempty"`
	Call      *maybe `json:"liC,omitempty"`
	Break     *maybe `json:"br,omitempty"`
}

// maybe is an object that is empty when there is nothing to show.
type maybe struct{ object any }

// MarshalJSON implements json.Marshaler.
func (m maybe) MarshalJSON() ([]byte, error) {
	if m.object == nil {
		return []byte("{}"), nil
	}
	return marshal(m.object)
}

type login struct {
	Type     string `json:"type"` // Web, SIP, Mobile
	Duration clock  `json:"duration"`
}

// liveCall is a call of an agent, in the words of DeepCall's push report.
type liveCall struct {
	ID       string `json:"callId"`
	Type     string `json:"type"` // IBD, OBD, CTC, ""
	State    string `json:"state"`
	Number   string `json:"cNumber"`
	DID      string `json:"did"`
	Start    int64  `json:"stime"` // Unix s
	Duration clock  `json:"duration"`
}

type pause struct {
	Type     string `json:"type"`
	Code     int64  `json:"code"`
	Start    int64  `json:"stime"` // Unix s
	Duration clock  `json:"duration"`
}

// clock is a length of time as hours, minutes and seconds; only hours are not padded.
type clock [3]string

func clockOf(seconds int64) clock {
	seconds = max(0, seconds)
	return clock{strconv.FormatInt(seconds/3600, 10), fmt.Sprintf("%02d", seconds/60%60), fmt.Sprintf("%02d", seconds%60)}
}

// workWords has the word for each work status, and breakWords for each reason of a break.
var (
	workWords  = map[int64]string{5: "Dialing", 6: "Ringing", 7: "Talking", 8: "Hold"}
	breakWords = map[int64]string{
		11: "Break", 12: "Training", 13: "Meeting", 14: "Dining", 15: "Active", 16: "Custom 1", 17: "Custom 2",
		18: "Custom 3",
	}
)

// agentsQuery is what a request of Agent/live asks for.
type agentsQuery struct {
	group    string // "": all
	loggedIn bool
	more     bool // A: 1
	filter   filter
}

// readAgents reads a request of Agent/live.
func readAgents(p *params) (q agentsQuery, err error) {
	p.only(unknownMember, "ssid", "userId", "token", "groupid", "status", "A", "filter")

	q.group = p.text("groupid")
	switch status := p.text("status"); status {
	case "", "all":
	case "login":
		q.loggedIn = true
	default:
		p.refuse(badStatus, "status must be all or login")
	}

	if v := p.value("A"); v != nil {
		switch n, ok := v.Number(); {
		case v[0] == '"' || !ok:
			p.refuse(badType, "A must be a number")
		case n != 0 && n != 1:
			p.refuse(badParameter, "A must be 0 or 1")
		default:
			q.more = n == 1
		}
	}

	q.filter = p.filter(agentProperties)
	if p.err != nil {
		return q, p.err
	}
	return q, nil
}

// listAgents is Agent/live.
func (a *API) listAgents(r *http.Request, c access.Caller, p *params) (any, error) {
	q, err := readAgents(p)
	if err != nil {
		return nil, err
	}

	now, err := a.Now(r)
	if err != nil {
		return nil, err
	}
	loc, err := a.Zone(c.Tenant)
	if err != nil {
		return nil, err
	}

	ctx, stop := dialect.Bound(r)
	defer stop()
	board, err := a.Boards.At(ctx, c.Tenant, now, loc)
	if err != nil {
		return nil, err
	}

	switch usual, _ := a.setting(c.CompanyID, "deepcall.defaultGroup").(string); {
	case q.group != "" && !knows(board, q.group):
		return nil, &problem{Code: unknownGroup}
	case q.group == "" && usual != "" && knows(board, usual):
		// Without the setting it is all groups: the document's default is 55, somebody's group.
		q.group = usual
	}

	return struct {
		Message agentList `json:"message"`
		Status  string    `json:"status"`
		Code    int       `json:"code"`
	}{q.list(board, now), "success", http.StatusOK}, nil
}

// knows reports whether there is a group: the directory has it, or an agent is in it.
func knows(b *live.Board, group string) bool {
	return b.Directory().Group(group) != nil || slices.ContainsFunc(b.Rows, func(r live.Row) bool { return in(&r, group) })
}

// in reports whether an agent is in a group.
func in(r *live.Row, group string) bool {
	return r.Entry != nil && slices.Contains(r.Entry.GroupIDs, group)
}

// list returns the answer of Agent/live.
func (q *agentsQuery) list(b *live.Board, now int64) agentList {
	var rows []*live.Row
	for i := range b.Rows {
		r := &b.Rows[i]
		if (q.group == "" || in(r, q.group)) && (!q.loggedIn || r.LoggedIn()) && q.filter.agent(r) {
			rows = append(rows, r)
		}
	}

	// The agent who is available longest comes first, an agent without any status last.
	slices.SortFunc(rows, func(x, y *live.Row) int {
		return cmp.Or(cmp.Compare(available(y, now), available(x, now)), live.CompareRows(x, y))
	})

	out := agentList{Agents: make([]agent, 0, len(rows))}
	var talks map[*live.Row]struct{ Count, Seconds int64 }
	if q.more {
		talks = b.Talks(now)
	}

	for _, r := range rows {
		one := show(r, now)
		if q.more {
			one.add(r, now, talks[r].Count, talks[r].Seconds)
		}
		out.Agents = append(out.Agents, one)

		for _, count := range []struct {
			of  *int
			one bool
		}{
			{&out.OnCall, r.Work == 5 || r.Work == 7 || r.Work == 8},
			{&out.OnBreak, r.OnBreak()},
			{&out.Login, r.LoggedIn()},
			{&out.WrapUp, r.Work == 4},
			{&out.Ring, r.Work == 6},
			{&out.SIP, one.SIP == "online"},
			{&out.Mic, one.Mic == 1},
		} {
			if count.one {
				*count.of++
			}
		}
	}

	return out
}

// available returns for how many seconds an agent has been available, or unavailable. Both
// instants are cut to seconds before they are subtracted, as the example shows.
func available(r *live.Row, now int64) int64 {
	if r.Since() == 0 {
		return 0
	}
	return since(r.Since(), now)
}

// since returns the seconds from at to now.
func since(at, now int64) int64 { return max(0, now/1000-at/1000) }

// show returns what the list says of every agent.
func show(r *live.Row, now int64) agent {
	a := agent{
		Name: r.Name, ID: number(r), Login: "No", Mobile: "No", Available: clockOf(available(r, now)),
		Since: r.Since() / 1000, SIP: "offline",
	}

	if r.Work >= 5 && r.Work <= 8 {
		a.Occupied = 1
	}

	if r.LoggedIn() {
		session := login{"Web", clockOf(since(r.LoggedAt, now))}
		switch r.PhoneType {
		case 4:
			session.Type = "SIP"
		case 3, 5:
			session.Type, a.Mobile = "Mobile", "Yes"
		}
		a.Login = session
	}

	if r.Entry != nil {
		a.SIP = r.Entry.SIPStatus
		if r.Entry.MicPermission {
			a.Mic = 1
		}
	}

	return a
}

// add adds what only a request with A: 1 gets.
func (a *agent) add(r *live.Row, now, calls, seconds int64) {
	mean := int64(0)
	if calls > 0 {
		mean = (2*seconds + calls) / (2 * calls) // rounded half up
	}
	average := clockOf(mean)
	a.TalkTime, a.Calls, a.Average = &seconds, &calls, &average
	a.Call, a.Break = &maybe{}, &maybe{}

	if r.Work >= 5 && r.Work <= 8 && r.CallID != "" {
		call := liveCall{
			ID: r.CallID, State: workWords[r.Work], Number: r.Number, Start: r.CallSince / 1000,
			Duration: clockOf(since(r.CallSince, now)),
		}
		back := false
		if r.Current != nil {
			call.DID, back = r.Current.Gateway(), r.Current.CallBack()
		}
		switch {
		case r.CallType == 3 && back:
			call.Type = "CTC"
		case r.CallType == 3:
			call.Type = "OBD"
		case r.CallType == 2:
			call.Type = "IBD"
		}
		a.Call = &maybe{call}
	}

	if r.OnBreak() {
		at := max(r.LoginAt, r.ReasonAt)
		a.Break = &maybe{pause{breakWords[r.Reason], r.Reason, at / 1000, clockOf(since(at, now))}}
	}
}
