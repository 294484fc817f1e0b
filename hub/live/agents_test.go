package live

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
)

// calls puts events into calls, by their callIDs.
func calls(events ...*record.Record) (all []*Call) {
	byID := map[string]*Call{}
	for _, e := range events {
		id := e.CallID()
		if byID[id] == nil {
			byID[id] = &Call{ID: id}
			all = append(all, byID[id])
		}
		byID[id].Add(e)
	}
	for _, c := range all {
		c.Prepare()
	}
	return all
}

const (
	partyEvent = `{"callID": %q, "partyID": %q, "agentUUID": "a"}`
	partyInAt  = `{"callID": %q, "partyID": %q, "agentUUID": "a", "callType": "Inbound", "partyRole": %q}`
)

// Of live parties whose state changed at the same millisecond the shown one does not
// depend on the order in which the calls are given, which is that of a map.
func TestOneOfPartiesThatChangedTogether(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []*record.Record
		call   string
		work   int64
	}{
		{"talking before held", []*record.Record{
			says(event.CallHeld, 5, partyEvent, "z", "p"), says(event.CallEstablished, 5, partyEvent, "a", "p"),
		}, "a", 7},
		{"held before ringing", []*record.Record{
			says(event.CallRinging, 5, partyEvent, "z", "p"), says(event.CallHeld, 5, partyEvent, "a", "p"),
		}, "a", 8},
		{"the greatest callID", []*record.Record{
			says(event.CallRinging, 5, partyEvent, "b", "z"), says(event.CallRinging, 5, partyEvent, "c", "a"),
			says(event.CallRinging, 5, partyEvent, "a", "p"),
		}, "c", 6},
		{"the last change", []*record.Record{
			says(event.CallEstablished, 5, partyEvent, "z", "p"), says(event.CallRinging, 6, partyEvent, "a", "p"),
		}, "a", 6},
	} {
		// Both ways round: the board is the same.
		all := calls(c.events...)
		for _, backwards := range []bool{false, true} {
			if backwards {
				slices.Reverse(all)
			}
			seen := []SeenAgent{{Agent: Agent{Key: "ua", UUID: "a"}, AgentState: AgentState{First: 1}}}
			b := NewAgentBoard(Moment{Now: 9, To: 100}, StaleCall, seen, all, &directory.Directory{})
			require.Len(t, b.Rows, 1)
			require.Equal(t, c.call, b.Rows[0].CallID, "%s, backwards %v", c.name, backwards)
			require.Equal(t, c.work, b.Rows[0].Work, c.name)
		}
	}
}

// Two parties of one call: the greatest partyID.
func TestOneOfPartiesOfACall(t *testing.T) {
	c := calls(says(event.CallRinging, 5, partyEvent, "c", "q"), says(event.CallRinging, 5, partyEvent, "c", "p"))[0]
	for _, ids := range [][]int{{0, 1}, {1, 0}} {
		var legs []leg
		for _, i := range ids {
			legs = append(legs, leg{call: c, party: c.parties()[i], end: record.Open})
		}
		_, shown := workAt(legs, 9)
		require.Equal(t, "q", shown.party.partyID)
	}
}

// Where a party has a record, the record alone says whether it is an agent's.
func TestRecordSaysWhoseParty(t *testing.T) {
	const cdr = `{"callID": "c", "partyId": "p", "agentUUID": "a", "callResult": 3, "startTime": 5, "callType": 2%s}`
	for _, c := range []struct {
		role, cdr string
		counts    bool
	}{
		{"", "", true},
		{"Agent", "", true},
		{"Supervisor", "", false},
		{"Customer", "", false},
		{"Agent", fmt.Sprintf(cdr, ""), true},
		{"Supervisor", fmt.Sprintf(cdr, ""), true},
		{"Customer", fmt.Sprintf(cdr, `, "agentRole": 2, "dialType": 3`), true},
		{"Agent", fmt.Sprintf(cdr, `, "agentRole": 4`), false},
		{"Agent", fmt.Sprintf(cdr, `, "dialType": 4`), false},
		{"Supervisor", fmt.Sprintf(cdr, `, "dialType": 4`), false},
	} {
		events := []*record.Record{says(event.CallEstablished, 5, partyInAt, "c", "p", c.role)}
		if c.cdr != "" {
			events = append(events, says(event.CDRParty, 0, "%s", c.cdr))
		}

		// It counts in the counters of today, and as a talk.
		all := calls(events...)
		seen := []SeenAgent{{Agent: Agent{Key: "ua", UUID: "a"}, AgentState: AgentState{First: 1}}}
		b := NewBoard(Today(9, time.UTC), &Facts{Agents: seen, Calls: all}, Settings{}, &directory.Directory{})
		want := int64(0)
		if c.counts {
			want = 1
		}
		require.Equal(t, want, b.Rows[0].InboundEstablished, "%+v", c)
		require.Len(t, b.Answered, int(want), "%+v", c)
	}
}

// The mean of ratings does not depend on the order in which the chats are given.
func TestRatingsInAnyOrder(t *testing.T) {
	var chats []*Chat
	for i, score := range []string{"1.1", "4.7", "3.3", "2.9", "4.1", "1.3", "4.9"} {
		c := &Chat{ID: fmt.Sprint(i)}
		c.Add(says(event.ChatRequested, 0, `{"chatId": "%d", "at": 5}`, i))
		c.Add(says(event.ChatRated, 0, `{"chatId": "%d", "at": 6, "score": %s}`, i, score))
		chats = append(chats, c)
	}
	means := map[float64]bool{}
	for range chats {
		chats = append(chats[1:], chats[0])
		for _, backwards := range []bool{false, true} {
			tally := &Tally{Window: Window{From: 1, To: 10, Now: 10}, Stale: StaleChat}
			for i := range chats {
				if backwards {
					i = len(chats) - 1 - i
				}
				tally.AddChat(chats[i])
			}
			means[tally.Day().Rating] = true
		}
	}
	require.Len(t, means, 1)
}

// Agents whose numbers have one value are always in one order: no two are equal.
func TestRowsOfEqualNumbers(t *testing.T) {
	var seen []SeenAgent
	for _, id := range []string{"7", "007", "07"} {
		seen = append(seen, SeenAgent{Agent: Agent{Key: record.AgentKey("", id), AgentID: id}})
	}
	for range seen {
		seen = append(seen[1:], seen[0])
		b := NewAgentBoard(Moment{Now: 9, To: 100}, StaleCall, seen, nil, &directory.Directory{})
		require.Equal(t, []string{"007", "07", "7"}, []string{b.Rows[0].AgentID, b.Rows[1].AgentID, b.Rows[2].AgentID})
	}
}
