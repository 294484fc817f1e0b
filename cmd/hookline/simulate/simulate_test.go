package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
)

var start = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

func story(t testing.TB, cfg Config, most int) []Envelope {
	t.Helper()
	if cfg.Start.IsZero() {
		cfg.Start = start
	}
	c, err := New(cfg)
	require.NoError(t, err)
	var all []Envelope
	for len(all) < most {
		e, more := c.Next()
		if !more {
			break
		}
		all = append(all, e)
	}
	return all
}

func text(es []Envelope) string {
	var b []byte
	for i := range es {
		b = append(es[i].AppendJSON(b), '\n')
	}
	return string(b)
}

func TestSameSeedSameBytes(t *testing.T) {
	cfg := Config{Seed: 7, Agents: 10, Duration: time.Hour}
	one := text(story(t, cfg, 1e9))
	require.Equal(t, one, text(story(t, cfg, 1e9)))

	// Stories that differ in anything share no event id.
	ids := map[string]bool{}
	for _, e := range story(t, cfg, 1e9) {
		ids[e.ID] = true
	}
	for name, change := range map[string]func(*Config){
		"seed":     func(c *Config) { c.Seed++ },
		"start":    func(c *Config) { c.Start = start.Add(time.Millisecond) },
		"company":  func(c *Config) { c.CompanyID = "other" },
		"agents":   func(c *Config) { c.Agents++ },
		"rate":     func(c *Config) { c.CallsPerHour = 61 },
		"duration": func(c *Config) { c.Duration++ },
		"chats":    func(c *Config) { c.ChatsPerHour = 30 },
	} {
		other := cfg
		change(&other)
		for _, e := range story(t, other, 1e9) {
			require.False(t, ids[e.ID], "%s: %s", name, e.ID)
		}
	}
}

// Whatever the seed and the load: events, statuses and records tell one story.
func TestStoriesAreConsistent(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	seen := map[event.Type]int{}
	results := map[int64]int{}
	locked := 0
	for _, shape := range []struct {
		agents int
		calls  float64
		hours  int
	}{{1, 12, 6}, {3, 10, 3}, {20, 150, 2}, {20, 900, 1}, {60, 300, 3}, {5, 1, 20}} {
		for seed := range uint64(3) {
			name := fmt.Sprintf("%d agents, %v calls/h, seed %d", shape.agents, shape.calls, seed)
			es := story(t,
				Config{
					Seed: seed, Agents: shape.agents, CallsPerHour: shape.calls, Duration: time.Duration(shape.hours) * time.Hour,
				},
				1e9)
			w := watch(t, name, es)
			locked += w.locked
			for ty, n := range w.seen {
				seen[ty] += n
			}
			for r, n := range w.results {
				results[r] += n
			}
		}
	}
	require.Positive(t, locked)
	for _, ty := range event.Types() {
		switch ty {
		case event.CDRCall, event.CDRParty, event.AgentStatus, event.QueueEntered, event.QueueLeft:
			require.Positive(t, seen[ty], ty.String())
		case event.CallPartyError, event.CallAgentError: // nothing breaks in this centre
		default:
			if ty >= event.CallCreated && ty <= event.CallPartyChanged {
				require.Positive(t, seen[ty], ty.String())
			} else {
				require.Zero(t, seen[ty], ty.String())
			}
		}
	}
	for _, r := range []int64{
		resultAgentNotFound, resultFastHangup, resultAgentMissed, resultCustomerMissed, resultAnswered,
	} {
		require.Positive(t, results[r], "result %d", r)
	}
}

// Agents come and go in shifts, and pause in between.
func TestShifts(t *testing.T) {
	type stay struct {
		since         int64
		stays, breaks int
	}
	agents := map[string]*stay{}
	var most, least int
	on := 0
	least = 1 << 30
	for _, e := range story(t, Config{Seed: 3, Agents: 30, CallsPerHour: 60, Duration: 36 * time.Hour}, 1e9) {
		if e.Type != event.AgentStatus {
			continue
		}
		var b statusBody
		require.NoError(t, json.Unmarshal(e.Data, &b))
		a := agents[b.AgentUUID]
		if a == nil {
			a = &stay{}
			agents[b.AgentUUID] = a
		}
		switch {
		case b.LoginStatus == loginOffline:
			length := time.Duration(e.Time-a.since) * time.Millisecond
			require.LessOrEqual(t, length, 10*time.Hour, "a shift, a call and a meeting")
			a.since = 0
			a.stays++
			on--
		case a.since == 0:
			a.since = e.Time
			on++
		case b.NotReadyStatus >= reasonBreak && b.NotReadyStatus <= reasonDining:
			a.breaks++
		}
		if hours := time.UnixMilli(e.Time).Sub(start).Hours(); hours > 1 && hours < 35 {
			most, least = max(most, on), min(least, on)
		}
	}
	require.Len(t, agents, 30)
	for id, a := range agents {
		require.GreaterOrEqual(t, a.stays, 3, id)
		require.GreaterOrEqual(t, a.breaks, 4, id)
	}
	require.GreaterOrEqual(t, least, 10)
	require.Less(t, most, 30)
}

// A centre that never closes stays as large as it is.
func TestEndlessStoryStaysSmall(t *testing.T) {
	c, err := New(Config{Seed: 1, Agents: 30, CallsPerHour: 250, Start: start})
	require.NoError(t, err)
	most := 0
	for range 100_000 {
		_, more := c.Next()
		require.True(t, more)
		waiting := 0
		for _, w := range c.waiting {
			waiting += len(w)
		}
		most = max(most, len(c.tasks)+len(c.out)+waiting)
	}
	require.Greater(t, c.Now().Sub(start), 6*time.Hour)
	require.Less(t, most, 1000)
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"agents":   {Agents: 9001, Start: start},
		"negative": {Agents: -1, Start: start},
		"rate":     {CallsPerHour: -1, Start: start},
		"duration": {Duration: -1, Start: start},
		"start":    {},
	} {
		_, err := New(cfg)
		require.Error(t, err, name)
	}
}

// watcher follows a story as a suspicious receiver would.
type watcher struct {
	t       testing.TB
	name    string
	now     int64
	ids     map[string]bool
	calls   map[string]*watchedCall
	agents  map[string]*watchedAgent
	touched map[string]bool // agents of which something was told at this moment
	seen    map[event.Type]int
	results map[int64]int
	locked  int // statuses of agents locked out for missing calls
}

type watchedCall struct {
	created, deleted int64
	deletedHangup    int64
	deletedCause     string
	direction        string
	parties          map[string]*watchedParty
	queued           bool // entered and not left
	everQueued       bool
	partyRecords     map[string]body
	recorded         bool
	data             string
	live             int
}

type watchedParty struct {
	agent                        string // "": the customer
	began, rang, answered, ended int64
	held, consult                bool
	released                     body
	role                         string
}

type watchedAgent struct {
	login, reason, work int64
	at                  int64
	live                *watchedParty
	told                int
}

type body map[string]any

func (b body) text(k string) string { s, _ := b[k].(string); return s }
func (b body) num(k string) int64 {
	n, _ := b[k].(json.Number)
	i, err := n.Int64()
	if err != nil {
		return -1
	}
	return i
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

func watch(t testing.TB, name string, es []Envelope) *watcher {
	w := &watcher{
		t: t, name: name, ids: map[string]bool{}, calls: map[string]*watchedCall{}, agents: map[string]*watchedAgent{},
		touched: map[string]bool{}, seen: map[event.Type]int{}, results: map[int64]int{},
	}
	for i := range es {
		w.take(&es[i])
	}
	w.settle()
	for id, k := range w.calls {
		w.ok(k.recorded, "call %s has no main CDR", id)
		w.ok(!k.queued, "call %s never left its queue", id)
	}
	for id, a := range w.agents {
		w.ok(a.login == loginOffline, "agent %s is still there (work %d)", id, a.work)
	}
	return w
}

func (w *watcher) ok(holds bool, format string, args ...any) {
	if !holds {
		w.t.Helper()
		w.t.Fatalf("%s: at %d: %s", w.name, w.now, fmt.Sprintf(format, args...))
	}
}

func (w *watcher) take(e *Envelope) {
	w.ok(e.Time >= w.now, "time goes back at %s", e.ID)
	if e.Time > w.now {
		w.settle()
	}
	w.now = e.Time
	w.ok(idForm.MatchString(e.ID) && !w.ids[e.ID], "id %q", e.ID)
	w.ids[e.ID] = true
	w.seen[e.Type]++

	d := json.NewDecoder(bytes.NewReader(e.Data))
	d.UseNumber()
	var b body
	w.ok(d.Decode(&b) == nil, "%s is no JSON", e.ID)
	w.ok(b.text("companyId") == "demo" && b.text("messageID") == e.Type.MessageID() && b.num("creationTime") == e.Time,
		"head of %s", e.Data)
	gate := event.Gate{CompanyID: "demo", Strict: true, Now: func() time.Time { return time.UnixMilli(e.Time) }}
	ev, problem := gate.Envelope(e.AppendJSON(nil))
	w.ok(problem == nil, "the gate refuses %s: %v", e.Data, problem)
	w.ok(len(ev.Warnings) == 0, "the gate wonders about %s: %v", e.Data, ev.Warnings)

	switch {
	case e.Type == event.AgentStatus:
		w.status(e, b)
	case e.Type == event.CDRParty:
		w.partyRecord(b)
	case e.Type == event.CDRCall:
		w.mainRecord(b)
	case e.Type == event.QueueEntered || e.Type == event.QueueLeft:
		w.queue(e, b)
	default:
		w.ok(e.Key == b.text("callID"), "key of %s", e.ID)
		w.call(e, b)
	}
}

func (w *watcher) status(e *Envelope, b body) {
	id := b.text("agentUUID")
	w.ok(id != "" && b.text("agentID") != "" && b.text("agentName") != "" && e.Key == id, "whose status: %s", e.Data)
	a := w.agent(id)
	w.ok(b.num("startTime") == e.Time && (a.told == 0 || a.at < e.Time), "two statuses of %s at once", id)
	a.login, a.reason, a.work, a.at = b.num("loginStatus"), b.num("notReadyStatus"), b.num("workStatus"), e.Time
	a.told++
	w.ok(a.told > 1 || a.login == loginOnline, "agent %s begins with login %d", id, a.login)
	busy := a.work >= workSorting && a.work <= workHolding
	w.ok(busy == (b.text("callID") != "") && busy == (b.text("partyId") != ""), "call of a status: %s", e.Data)
	if busy {
		k := w.calls[b.text("callID")]
		w.ok(k != nil && k.parties[b.text("partyId")] != nil && k.parties[b.text("partyId")].agent == id,
			"party of a status: %s", e.Data)
		want := map[string]string{"Inbound": "2", "Outbound": "3"}[k.direction]
		w.ok(b.text("callType") == want, "direction of a status: %s", e.Data)
		w.ok(b.text("attachedData") == k.data, "data of a status: %s", e.Data)
	}
	switch a.login {
	case loginOffline:
		w.ok(a.work == workUnknown && a.reason == reasonNone, "offline: %s", e.Data)
	case loginOnline:
		w.ok(a.work != workOccupied && a.work != workUnknown && a.reason == reasonNone, "online: %s", e.Data)
	case loginOccupied:
		w.ok(a.work == workOccupied && a.reason > 0, "occupied: %s", e.Data)
		if a.reason == reasonSystem {
			w.locked++
		}
	default:
		w.ok(false, "login %d", a.login)
	}
	w.touched[id] = true
}

// settle compares statuses with calls once all of one moment is told.
func (w *watcher) settle() {
	for id := range w.touched {
		a := w.agents[id]
		want := []int64{workUnknown, workReady, workOccupied, workSorting}
		if p := a.live; p != nil {
			switch {
			case p.held:
				want = []int64{workHolding}
			case p.answered != 0:
				want = []int64{workTalking}
			case p.role == "Origination":
				want = []int64{workDialing}
			default:
				want = []int64{workRinging}
			}
		}
		holds := false
		for _, x := range want {
			holds = holds || x == a.work
		}
		w.ok(holds, "agent %s says %d, its calls say %v", id, a.work, want)
		delete(w.touched, id)
	}
}

func (w *watcher) agent(id string) *watchedAgent {
	a := w.agents[id]
	if a == nil {
		a = &watchedAgent{}
		w.agents[id] = a
	}
	return a
}

func (w *watcher) queue(e *Envelope, b body) {
	k := w.calls[b.text("contactId")]
	w.ok(k != nil && k.deleted == 0 && k.direction == "Inbound", "queue of %s", e.ID)
	w.ok(b.text("media") == "call" && b.text("queueId") != "" && b.num("enteredAt") > 0, "queue: %s", e.Data)
	if e.Type == event.QueueEntered {
		w.ok(!k.everQueued && b.num("enteredAt") == e.Time, "entered: %s", e.Data)
		k.queued, k.everQueued = true, true
		return
	}
	w.ok(k.queued && b.num("leftAt") == e.Time, "left: %s", e.Data)
	k.queued = false
	w.ok((b.text("outcome") == "answered") == (b.text("agentUUID") != ""), "left: %s", e.Data)
}

func (w *watcher) call(e *Envelope, b body) {
	id := b.text("callID")
	k := w.calls[id]
	if e.Type == event.CallCreated {
		w.ok(k == nil && b.text("partyID") == "" && b.text("thisDN") == "" && b.text("mainDialType") != "", "created: %s",
			e.Data)
		w.calls[id] = &watchedCall{
			created: e.Time, direction: b.text("callType"), parties: map[string]*watchedParty{}, partyRecords: map[string]body{},
			data: b.text("attachedData"),
		}
		return
	}
	w.ok(k != nil && k.deleted == 0, "%s outside its call", e.Data)
	switch e.Type {
	case event.CallDeleted:
		w.ok(k.live == 0, "%d parties outlive call %s", k.live, id)
		k.deleted, k.deletedHangup, k.deletedCause = e.Time, b.num("hangupDisposition"), b.text("hangupCause")
		w.ok(k.deletedHangup >= 1 && k.deletedHangup <= 3 && k.deletedCause != "", "deleted: %s", e.Data)
		return
	case event.CallAttachedDataChanged:
		w.ok(b["changedKeys"] != nil && b.text("partyID") == "" && json.Valid([]byte(b.text("attachedData"))), "changed: %s",
			e.Data)
		k.data = b.text("attachedData")
		return
	}
	w.ok(b.text("attachedData") == k.data, "attached data of %s", e.Data)
	w.numbers(k, b, e)

	pid := b.text("partyID")
	p := k.parties[pid]
	if p == nil {
		w.ok(e.Type == event.CallDialing || e.Type == event.CallRinging, "party begins with %s", e.Data)
		p = &watchedParty{began: e.Time, role: b.text("thisDNRole"), consult: b.text("callType") == "Consult"}
		if b.text("partyRole") == "Agent" {
			p.agent = b.text("agentUUID")
			w.ok(p.agent != "" && b.text("agentID") != "", "agent of %s", e.Data)
			a := w.agent(p.agent)
			w.ok(a.login == loginOnline && a.live == nil, "agent %s has two calls, or is not there", p.agent)
			a.live = p
		} else {
			w.ok(b.text("partyRole") == "Customer" && b.text("agentUUID") == "", "who: %s", e.Data)
		}
		k.parties[pid] = p
		k.live++
	}
	w.ok(p.ended == 0 && (p.agent == "" || p.agent == b.text("agentUUID")), "%s after its release", e.Data)
	if p.agent != "" {
		w.touched[p.agent] = true
	}
	role := b.text("thisDNRole")
	w.ok(role == p.role, "role of %s", e.Data)
	switch e.Type {
	case event.CallDialing:
		w.ok(role == "Origination" && p.began == e.Time, "dialing: %s", e.Data)
	case event.CallRinging:
		w.ok((role == "Destination" || role == "TransferTo" || role == "ConsultBy") && p.rang == 0, "ringing: %s", e.Data)
		w.ok((role == "ConsultBy") == p.consult, "consult: %s", e.Data)
		p.rang = e.Time
	case event.CallEstablished:
		w.ok(p.answered == 0, "answered twice: %s", e.Data)
		p.answered = e.Time
	case event.CallHeld:
		w.ok(p.answered != 0 && !p.held && p.agent != "" && b.num("referenceID") > 0, "held: %s", e.Data)
		p.held = true
	case event.CallRetrieved:
		w.ok(p.held, "retrieved: %s", e.Data)
		p.held = false
	case event.CallPartyAdded:
		w.ok(p.answered != 0 && b.num("dialType") == dialInquiry && b.text("thirdDN") != "" &&
			(b.text("thirdDNRole") == "NewParty" || b.text("thirdDNRole") == "AddedBy"),
			"added: %s", e.Data)
	case event.CallPartyDeleted:
		w.ok(p.answered != 0 && b.text("thirdDN") != "" && b.text("thirdDNRole") == "DeletedParty", "gone: %s", e.Data)
	case event.CallPartyChanged:
		w.ok(p.agent == "" && p.answered != 0 && b.text("thirdDN") != "" && b.text("thirdDN") != b.text("otherDN"),
			"changed: %s", e.Data)
	case event.CallDTMFSent:
		w.ok(b.text("dtmfDigits") != "", "digits: %s", e.Data)
	case event.CallReleased:
		p.ended, p.released = e.Time, b
		k.live--
		w.ok(b.num("hangupDisposition") >= 1 && b.text("hangupCause") != "" && b.num("callResult") > 0, "released: %s",
			e.Data)
		if p.agent != "" {
			w.agent(p.agent).live = nil
		}
	default:
		w.ok(false, "unexpected %s", e.Type)
	}
}

// numbers checks who is on which side of a party's event.
func (w *watcher) numbers(k *watchedCall, b body, e *Envelope) {
	w.ok(b.text("thisDN") != "" && b.text("otherDN") != "" && b.text("thisDN") != b.text("otherDN"), "numbers: %s", e.Data)
	roles := map[string]bool{"Origination": true, "Destination": true, "TransferTo": true, "ConsultBy": true}
	w.ok(roles[b.text("thisDNRole")] && roles[b.text("otherDNRole")], "roles: %s", e.Data)
	switch {
	case b.text("callType") == "Consult":
		w.ok(b.text("ANI") == "" && b.text("DNIS") == "", "consult: %s", e.Data)
	case b.text("partyRole") == "Customer" && k.direction == "Inbound":
		w.ok(b.text("thisDN") == b.text("ANI") && b.text("thisDNRole") == "Origination", "caller: %s", e.Data)
	case b.text("partyRole") == "Customer":
		w.ok(b.text("thisDN") == b.text("DNIS") && b.text("thisDNRole") == "Destination", "called: %s", e.Data)
	default:
		customer := b.text("ANI")
		if k.direction == "Outbound" {
			customer = b.text("DNIS")
		}
		w.ok(b.text("otherDN") == customer, "the other of %s", e.Data)
	}
}

func ceilSeconds(from, to int64) int64 {
	if from == 0 {
		return 0
	}
	s := (to - from) / 1000
	if (to-from)%1000 != 0 {
		s++
	}
	return s
}

func (w *watcher) partyRecord(b body) {
	k := w.calls[b.text("callID")]
	w.ok(k != nil && k.deleted != 0 && !k.recorded, "record before the end: %v", b)
	p := k.parties[b.text("partyId")]
	w.ok(p != nil && p.agent != "" && p.agent == b.text("agentUUID") && k.partyRecords[b.text("partyId")] == nil,
		"whose record: %v", b)
	k.partyRecords[b.text("partyId")] = b
	for field, want := range map[string]int64{
		"startTime": p.began, "alertTime": p.began, "answerTime": p.answered, "bridgeTime": p.answered, "endTime": p.ended,
		"duration": ceilSeconds(p.answered, p.ended), "feeSeconds": ceilSeconds(p.answered, p.ended),
		"totalDuration": ceilSeconds(p.began, p.ended),
		"feeMinutes": (ceilSeconds(p.answered, p.ended) +
			59) / 60, "callResult": p.released.num("callResult"), "hangupDisposition": p.released.num("hangupDisposition"),
		"agentRole": 2,
	} {
		w.ok(b.num(field) == want, "%s is %d, the events say %d: %v", field, b.num(field), want, b)
	}
	w.ok(b.num("callResult") == partyAnswered || p.answered == 0, "answered: %v", b)
	w.ok((b.num("dialType") == dialInquiry) == p.consult &&
		(b.num("dialType") == dialTransfer) == (p.role == "TransferTo"),
		"dialType: %v", b)
	w.ok((b.num("dialType") == dialCall) == (b.text("fromAgentUUID") == ""), "from: %v", b)
	w.ok(b.text("departmentId") != "" && b.text("agentDN") != "", "agent: %v", b)
	w.ok((b.num("phoneType") == 3) == (b.text("DNIS") != ""), "phone: %v", b)
}

func (w *watcher) mainRecord(b body) {
	k := w.calls[b.text("callID")]
	w.ok(k != nil && k.deleted != 0 && !k.recorded, "record before the end: %v", b)
	k.recorded = true
	var customer *watchedParty
	var agents, transfers, inquiries, answered, ringing, belongs int64
	for id, p := range k.parties {
		if p.agent == "" {
			w.ok(customer == nil, "two customers in %v", b)
			customer = p
			continue
		}
		r := k.partyRecords[id]
		w.ok(r != nil, "no record of party %s", id)
		agents++
		if r["belongAgentFlag"] == true {
			belongs++
			w.ok(r.text("agentUUID") == b.text("belongAgentUUID"), "belongs: %v", b)
		}
		switch {
		case r.num("dialType") == dialTransfer:
			transfers++
		case r.num("dialType") == dialInquiry && p.answered != 0:
			inquiries++
		}
		if p.answered != 0 {
			answered++
		}
		if p.rang != 0 {
			end := p.answered
			if end == 0 {
				end = p.ended
			}
			ringing += end - p.rang
		}
	}
	w.ok(len(k.partyRecords) == int(agents), "%d parties, %d records", agents, len(k.partyRecords))
	if customer == nil { // its phone never rang
		customer = &watchedParty{}
	}
	w.results[b.num("callResult")]++
	alertEnd := customer.answered
	if alertEnd == 0 {
		alertEnd = k.deleted
	}
	for field, want := range map[string]int64{
		"startTime": k.created, "alertTime": customer.began, "answerTime": customer.answered, "bridgeTime": customer.answered,
		"endTime":  k.deleted,
		"duration": ceilSeconds(customer.answered, k.deleted), "feeSeconds": ceilSeconds(customer.answered, k.deleted),
		"totalDuration": ceilSeconds(k.created, k.deleted),
		"alertDuration": ceilSeconds(customer.began, alertEnd), "accumAgentRingingDuration": ceilSeconds(1, 1+ringing),
		"transferCount": transfers, "consultCount": inquiries, "hangupDisposition": k.deletedHangup,
	} {
		w.ok(b.num(field) == want, "%s is %d, the events say %d: %v", field, b.num(field), want, b)
	}
	want := int64(resultAnswered)
	switch {
	case answered > 0:
	case k.direction == "Outbound":
		want = resultCustomerMissed
	case agents > 0:
		want = resultAgentMissed
	case k.everQueued:
		want = resultAgentNotFound
	default:
		want = resultFastHangup
		w.ok(k.deleted-k.created < 5000, "fast: %v", b)
	}
	w.ok(b.num("callResult") == want, "result %d: %v", want, b)
	w.ok((answered > 0) == (customer.answered != 0), "answered by one side only: %v", b)
	w.ok((want == resultCustomerMissed) == (b.text("reasonOfNotAnswer") != ""), "reason: %v", b)
	if want == resultAnswered || k.direction == "Outbound" {
		w.ok(belongs == 1, "belongs to %d agents: %v", belongs, b)
	} else {
		w.ok(belongs == 0 && b.text("belongAgentUUID") == "", "belongs: %v", b)
	}
	data, _ := json.Marshal(b["attachedData"])
	require.JSONEq(w.t, k.data, string(data))
	w.ok(b.text("hangupCause") == k.deletedCause, "cause: %v", b)
	for _, field := range []string{
		"customerNumber", "gatewayNumber", "customerId", "callerNumber", "calleeNumber", "areaCode", "mainDialType",
		"platformId",
	} {
		w.ok(b.text(field) != "", "%s: %v", field, b)
	}
}

func BenchmarkNext(b *testing.B) {
	c, err := New(Config{Seed: 1, Agents: 100, CallsPerHour: 700, Start: start})
	require.NoError(b, err)
	b.ReportAllocs()
	var line []byte
	for b.Loop() {
		e, _ := c.Next()
		line = e.AppendJSON(line[:0])
	}
	b.SetBytes(int64(len(line)))
}
