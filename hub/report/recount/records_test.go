// Package recount is the second opinion on the reports: a plain evaluator that
// reads raw events and counts, with the definitions of the contract and nothing
// of the engine, and tests that ask a whole hub the same questions.
//
// It is slow and holds everything in memory, so that each rule of the contract
// is a line or two here.
package recount

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// line is one event that the hub accepted, in order of arrival.
type line struct {
	Type string
	Data json.RawMessage
}

// record is the body of an event.
type record struct {
	fields  map[string]any // numbers as json.Number
	arrival int            // grows with arrival
}

func readRecord(raw []byte, arrival int) *record {
	r := &record{arrival: arrival}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&r.fields); err != nil {
		panic(err)
	}
	return r
}

// trim drops the blanks of the contract, and no others (3.1).
func trim(s string) string { return strings.Trim(s, " \t\r\n") }

var (
	integers = regexp.MustCompile(`^-?[0-9]+$`)
	digits   = regexp.MustCompile(`^[0-9]+$`)
)

// integer: a JSON integer, or a text of digits (3.1).
func (r *record) integer(name string) (int64, bool) {
	var text string
	switch v := r.fields[name].(type) {
	case json.Number:
		if text = v.String(); !integers.MatchString(text) {
			return 0, false
		}
	case string:
		if text = trim(v); !digits.MatchString(text) {
			return 0, false
		}
	default:
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// code is an integer, or what an absent one stands for.
func (r *record) code(name string, absent int64) int64 {
	if n, ok := r.integer(name); ok {
		return n
	}
	return absent
}

// instant is Unix ms; 0: absent.
func (r *record) instant(name string) int64 { return max(0, r.code(name, 0)) }

// text is trimmed; a JSON integer is its digits; "": absent.
func (r *record) text(name string) string {
	switch v := r.fields[name].(type) {
	case string:
		return trim(v)
	case json.Number:
		if integers.MatchString(v.String()) {
			return v.String()
		}
	}
	return ""
}

func (r *record) boolean(name string) (is, present bool) {
	switch v := r.fields[name].(type) {
	case bool:
		return v, true
	case string:
		return trim(v) == "true", trim(v) == "true" || trim(v) == "false"
	}
	return false, false
}

// seconds is a duration field, else the time between two instants (3.1).
func (r *record) seconds(field, from string) int64 {
	if n, ok := r.integer(field); ok {
		return max(0, n)
	}
	a, b := r.instant(from), r.instant("endTime")
	if a == 0 || b < a {
		return 0
	}
	return (b - a) / 1000
}

func (r *record) talk() int64  { return r.seconds("duration", "bridgeTime") }
func (r *record) total() int64 { return r.seconds("totalDuration", "startTime") }

// no result, absent, is a callResult that means nothing.
const noResult = -1

func (r *record) result() int64   { return r.code("callResult", noResult) }
func (r *record) dialType() int64 { return r.code("dialType", 1) }
func (r *record) role() int64     { return r.code("agentRole", 2) }

// agent is who a party CDR or a status change is about (3.4).
type agent struct{ uuid, no string }

func (r *record) agent() (agent, bool) {
	if uuid := r.text("agentUUID"); uuid != "" {
		return agent{uuid: uuid}, true
	}
	no := r.text("agentID")
	return agent{no: no}, no != ""
}

// population is main and party CDRs that belong together (3.2).
type population struct {
	mains   map[string]*record   // callID -> the last to arrive
	parties map[string][]*record // callID -> the last to arrive of each partyId
}

// world is what has arrived: the current version of every record that counts.
type world struct {
	telemarketing, bot population
	status             map[agent][]*record // by startTime; one of each
}

func newWorld(lines []line) *world {
	type leg struct{ call, party string }
	var (
		mains   = map[string]map[string]*record{"cdr.call": {}, "cdr.bot_call": {}}
		parties = map[string]map[leg]*record{"cdr.party": {}, "cdr.bot_party": {}}
		states  = map[agent]map[int64]*record{}
	)
	for i, l := range lines {
		r := readRecord(l.Data, i)
		call, party := r.text("callID"), r.text("partyId")
		switch l.Type {
		case "cdr.call", "cdr.bot_call":
			if call != "" {
				mains[l.Type][call] = r
			}
		case "cdr.party", "cdr.bot_party":
			if call != "" && party != "" {
				parties[l.Type][leg{call, party}] = r
			}
		case "agent.status":
			who, ok := r.agent()
			at := r.instant("startTime")
			if !ok || at == 0 {
				continue
			}
			if states[who] == nil {
				states[who] = map[int64]*record{}
			}
			// 7.2 step 1: the greatest creationTime stays, of equals the last to arrive.
			if old := states[who][at]; old == nil || old.instant("creationTime") <= r.instant("creationTime") {
				states[who][at] = r
			}
		default:
			panic(l.Type)
		}
	}
	// A record without startTime has replaced earlier versions, and is now ignored.
	pop := func(mainType, partyType string) population {
		p := population{map[string]*record{}, map[string][]*record{}}
		for call, r := range mains[mainType] {
			if r.instant("startTime") > 0 {
				p.mains[call] = r
			}
		}
		for l, r := range parties[partyType] {
			if r.instant("startTime") > 0 {
				p.parties[l.call] = append(p.parties[l.call], r)
			}
		}
		return p
	}
	w := &world{pop("cdr.call", "cdr.party"), pop("cdr.bot_call", "cdr.bot_party"), map[agent][]*record{}}
	for who, changes := range states {
		for _, at := range slices.Sorted(maps.Keys(changes)) {
			w.status[who] = append(w.status[who], changes[at])
		}
	}
	return w
}

// direction of a party CDR (3.3); 0: not known.
func (p population) direction(party *record) int64 {
	if d := party.code("callType", 0); d == 1 || d == 2 || d == 3 {
		return d
	}
	if main := p.mains[party.text("callID")]; main != nil {
		return main.code("callType", 0)
	}
	return 0
}

// shown is the newest non-empty agentID or agentName of an agent (5.1).
func (w *world) shown(who agent, field string) string {
	if field == "agentID" && who.uuid == "" {
		return who.no
	}
	var best *record
	look := func(r *record) {
		if r.text(field) == "" {
			return
		}
		if best != nil {
			a, b := r.instant("startTime"), best.instant("startTime")
			if a < b || a == b && r.arrival < best.arrival {
				return
			}
		}
		best = r
	}
	for _, parties := range w.telemarketing.parties {
		for _, p := range parties {
			if is, ok := p.agent(); ok && is == who && p.role() == 2 {
				look(p)
			}
		}
	}
	for _, s := range w.status[who] {
		look(s)
	}
	if best == nil {
		return ""
	}
	return best.text(field)
}

// settings of a tenant (2), as its JSON; nil: not given.
type settings struct {
	XSSeconds        *int64              `json:"xsSeconds,omitempty"`
	ReasonCodesA     *[]int64            `json:"reasonCodesA,omitempty"`
	ReasonCodesB     *[]int64            `json:"reasonCodesB,omitempty"`
	RouteKinds       map[string]string   `json:"routeKinds,omitempty"`
	Departments      []department        `json:"departments,omitempty"`
	AgentDepartments map[string][]string `json:"agentDepartments,omitempty"`
}

type department struct {
	ID   string `json:"departId"`
	Name string `json:"departName"`
}

// config is what a report takes from settings and directory.
type config struct {
	zone             string // of the tenant
	x                int64
	a, b             []int64
	routeKinds       map[string]string
	departmentNames  map[string]string
	agentDepartments map[string][]string
}

// directory of a tenant: what settings do not say.
type directory struct {
	names            map[string]string   // departmentId -> name
	agentDepartments map[string][]string // agentUUID -> departmentIds
}

func configOf(zone string, s settings, d directory) config {
	c := config{
		zone, 30, []int64{12, 13, 15}, []int64{2, 11, 14}, s.RouteKinds, map[string]string{}, map[string][]string{},
	}
	if s.XSSeconds != nil {
		c.x = *s.XSSeconds
	}
	if s.ReasonCodesA != nil {
		c.a = *s.ReasonCodesA
	}
	if s.ReasonCodesB != nil {
		c.b = *s.ReasonCodesB
	}
	maps.Copy(c.departmentNames, d.names)
	for _, dep := range s.Departments {
		c.departmentNames[dep.ID] = dep.Name
	}
	maps.Copy(c.agentDepartments, d.agentDepartments)
	maps.Copy(c.agentDepartments, s.AgentDepartments)
	return c
}

// departments of a party CDR (3.4); the row "" when there is none.
func (c config) departments(party *record) []string {
	ids := items(strings.Split(party.text("departmentId"), "|"))
	if len(ids) == 0 {
		ids = items(c.agentDepartments[party.text("agentUUID")])
	}
	if len(ids) == 0 {
		ids = []string{""}
	}
	return ids
}

// items of a list: trimmed, without empty and repeated ones.
func items(list []string) (out []string) {
	for _, s := range list {
		if s = trim(s); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
