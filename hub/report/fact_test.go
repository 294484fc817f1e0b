package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
)

func TestReadCall(t *testing.T) {
	for body, want := range map[string]Call{
		`{"callID": " c ", "callType": "2", "callResult": 8, "startTime": "1000", "duration": "100", "totalDuration": 7, "gatewayNumber": 400, "customerNumber": "", "screenNumber": " 138 ", "firstRouteId": "r"}`: {
			ID: "c", Type: 2, Start: 1000, Flags: In | Taken | Reached, Talk: 100, Total: 7, Gateway: "400", Customer: "138", Route: "r",
		},
		`{"callID": "c", "callType": 3, "callResult": 6, "startTime": 1000, "bridgeTime": 2001, "endTime": 4000}`: {
			ID: "c", Type: 3, Start: 1000, Flags: Out | Taken | Sought, Talk: 1, Total: 3,
		},
		`{"callID": "c", "callType": 1, "startTime": 5000, "endTime": 4000, "bridgeTime": 0, "callResult": 22}`: {ID: "c", Type: 1, Start: 5000},
		`{"callID": "c", "startTime": 1.5, "duration": -3, "totalDuration": 1.0, "endTime": 9000, "callType": 2, "callResult": "x"}`: {
			ID: "c", Type: 2, Flags: In,
		},
		`{"callID": "c", "callType": 2, "inboundTransferedHumanAgent": "true", "virtualAgentCallDuration": "3"}`: {ID: "c", Type: 2, Flags: In | Human | Virtual},
		`{"callID": "c", "callType": 2, "inboundTransferedHumanAgent": false, "virtualAgentCallDuration": 0, "encryptCustomerNumber": "e"}`: {
			ID: "c", Type: 2, Flags: In | NotHuman, Customer: "e",
		},
	} {
		require.Equal(t, want, ReadCall(&event.Event{Body: []byte(body)}), body)
	}
}

func TestReadParty(t *testing.T) {
	for body, want := range map[string]Party{
		`{"callID": "c", "partyId": "p", "startTime": 1, "callType": 9, "agentUUID": "u", "agentID": 7, "agentName": "Jon", "departmentId": " a | b||a", "duration": 5}`: {
			Call: "c", ID: "p", Start: 1, Dial: 1, Role: 2, Talk: 5, Agent: "uu", Number: "7", Name: "Jon", Departments: "a|b",
		},
		`{"callID": "c", "partyId": "p", "startTime": 1, "callType": 2, "agentRole": 4, "agentUUID": "u", "dialType": 2, "callResult": 3, "departmentId": "d"}`: {
			Call: "c", ID: "p", Start: 1, Type: 2, Dial: 2, Role: 4, Result: 3,
		},
		`{"callID": "c", "partyId": "p", "agentID": "7"}`: {Call: "c", ID: "p", Dial: 1, Role: 2, Agent: "i7", Number: "7"},
	} {
		require.Equal(t, want, ReadParty(&event.Event{Body: []byte(body)}), body)
	}
}

// What a party shows needs its main record where it does not say its direction.
func TestPartyShows(t *testing.T) {
	in, out := &Call{Type: 2, Flags: In | Reached}, &Call{Type: 3, Flags: Out}
	for _, c := range []struct {
		Party
		call *Call
		want Flags
	}{
		{Party{Type: 2, Dial: 1, Role: 2, Result: 3}, nil, In | Direct | Rang | Took},
		{Party{Dial: 1, Role: 2, Result: 3}, nil, 0},
		{Party{Dial: 3, Role: 2, Result: 2}, in, In | Inquiry | Rang | Reached},
		{Party{Dial: 1, Role: 2, Result: 1}, out, Out | Direct},
		{Party{Type: 3, Dial: 2, Role: 2}, in, 0}, // who joins did not place the call
		{Party{Type: 1, Dial: 1, Role: 2}, in, 0},
		{Party{Type: 2, Dial: 4, Role: 2}, in, 0},
		{Party{Type: 2, Dial: 6, Role: 2}, in, 0},
		{Party{Type: 2, Dial: 1, Role: 4}, in, 0},
		{Party{Type: 2, Dial: 5, Role: 2}, nil, In | TakeAway},
	} {
		require.Equal(t, c.want, c.Shows(c.call), "%+v", c.Party)
	}
}

// Reading facts of whatever the gate lets through takes what it can.
func FuzzFacts(f *testing.F) {
	f.Add(`{"callID": "\ud800", "startTime": "12", "duration": 9223372036854775807, "endTime": -9223372036854775808, "departmentId": "|\u0000|"}`)
	f.Add(`{"agentUUID": {"a": 1}, "agentRole": "2", "inboundTransferedHumanAgent": "maybe", "loginStatus": "", "startTime": 1e9}`)
	f.Fuzz(func(t *testing.T, body string) {
		if !json.Valid([]byte(body)) {
			return
		}
		e := &event.Event{Body: []byte(body)}
		c, p, s := ReadCall(e), ReadParty(e), ReadStatus(e)
		if c.Start < 0 || c.Talk < 0 || c.Total < 0 || p.Start < 0 || p.Talk < 0 || p.Total < 0 || s.Start < 0 || s.Created < 0 {
			t.Fatalf("%+v %+v %+v", c, p, s)
		}
		for _, text := range []string{c.ID, c.Gateway, c.Route, c.Customer, p.ID, p.Agent, p.Name, p.Departments, s.Agent, s.Name} {
			if strings.ContainsRune(text, 0) {
				t.Fatalf("NUL in %q", text)
			}
		}
		LegsOf([]Party{p, p})
		if f := s.After(State{}).Shows(State{}); f&Logins != 0 && f&Logouts != 0 {
			t.Fatalf("%b", f)
		}
		if f := p.Shows(&c); f&In != 0 && f&Out != 0 {
			t.Fatalf("%b", f)
		}
	})
}
