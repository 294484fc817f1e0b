// Package recount is the second opinion on the boards: it works out each of
// their figures from the events that were sent, with the definitions of the
// contract and none of the code of hub/live, and compares.
//
// It holds everything in memory and reads all of it for every question. That is
// slow, and it is why a rule of the contract is a line or two here.
package recount

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// entry is one event as it was sent.
type entry struct {
	typ  string
	at   int64 // Unix ms, the time that its body says
	body map[string]any
}

// text returns a field of the body; "" when it is absent.
func (e *entry) text(name string) string { v, _ := e.body[name].(string); return v }

// number returns a field of the body; 0 when it is absent.
func (e *entry) number(name string) int64 { v, _ := e.body[name].(int64); return v }

func (e *entry) has(name string) bool { _, there := e.body[name]; return there }

// unended is the end of what goes on.
const unended = math.MaxInt64

// recount holds all that a tenant sent, in order of arrival, its directory, and
// the moment of the question. Its methods work out the figures of that moment.
type recount struct {
	log                    []entry
	agents                 map[string]listedAgent // in the directory, by agentUUID
	queues                 map[string]listedQueue // in the directory, by queueId
	departments            []string               // in the directory
	staleCall, staleChat   int64                  // ms without an event after which one counts as over
	now, dayBegin, dayEnds int64                  // Unix ms

	calls map[string]*call // read puts them together
	chats map[string]*chat
}

type listedAgent struct {
	departments, queues []string
	maxChats            int64 // -1: as many as they like
	web                 bool  // the client is a browser
}

type listedQueue struct{ media, group, strategy string }

// read puts calls and chats together from the log.
func (r *recount) read() {
	r.readCalls()
	r.readChats()
}

// today reports whether a time lies in the day of the question.
func (r *recount) today(at int64) bool { return at > 0 && at >= r.dayBegin && at < r.dayEnds }

// lastOfEach returns, of the entries with the same identity, the one that arrived
// last, in order of time. Entries without an identity are left out.
func (r *recount) lastOfEach(identity func(*entry) string) (all []entry) {
	last := map[string]int{}
	for i := range r.log {
		if id := identity(&r.log[i]); id != "" {
			last[id] = i
		}
	}
	for _, i := range slices.Sorted(maps.Values(last)) {
		all = append(all, r.log[i])
	}
	slices.SortStableFunc(all, byTime)
	return all
}

func byTime(a, b entry) int { return cmp.Compare(a.at, b.at) }

// agentOf returns the key of the agent that an entry names: "u" and the UUID, or
// "i" and the number; "" when it names nobody.
func agentOf(e *entry) string {
	switch {
	case e.text("agentUUID") != "":
		return "u" + e.text("agentUUID")
	case e.text("agentID") != "":
		return "i" + e.text("agentID")
	}
	return ""
}

// keyOf returns the key of the agent with a UUID; "" for "".
func keyOf(uuid string) string {
	if uuid == "" {
		return ""
	}
	return "u" + uuid
}

func isQueueEvent(e *entry) bool { return strings.HasPrefix(e.typ, "queue.") }

// meanHalfUp returns the mean of n times, which are sum ms together, in units of
// so many ms, rounded half up; 0 when there are none.
func meanHalfUp(sum, n, unit int64) int64 {
	if n == 0 {
		return 0
	}
	return (2*sum + n*unit) / (2 * n * unit)
}

// share returns a part of a whole; 0 when there is nothing.
func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

// interval is a time from its first instant to before its last, Unix ms.
type interval struct{ from, to int64 }

// covered returns how long at least one of the intervals lasts, in ms: between
// two neighbouring borders either all of the time counts or nothing.
func covered(all []interval) (ms int64) {
	var borders []int64
	for _, i := range all {
		borders = append(borders, i.from, i.to)
	}
	slices.Sort(borders)

	for i := 1; i < len(borders); i++ {
		within := func(x interval) bool { return x.from <= borders[i-1] && x.to >= borders[i] }
		if slices.ContainsFunc(all, within) {
			ms += borders[i] - borders[i-1]
		}
	}
	return ms
}
