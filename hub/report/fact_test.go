package report

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/record"
)

// What a main record counts as follows from its own codes.
func TestOwnFlags(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		record.Call
		want Flags
	}{
		{record.Call{Type: 2, Result: 8}, In | Taken | Reached},
		{record.Call{Type: 3, Result: 6}, Out | Taken | Sought},
		{record.Call{Type: 1, Result: 22}, 0},
		{record.Call{Type: 2}, In},
		{record.Call{Type: 2, WantsHuman: &yes, VirtualTalk: 3}, In | Human | Virtual},
		{record.Call{Type: 2, WantsHuman: &no}, In | NotHuman},
	} {
		require.Equal(t, c.want, OwnFlags(&c.Call), "%+v", c.Call)
	}
}

// Parties count for agents of people's calls only.
func TestAttribution(t *testing.T) {
	agent := record.Party{UUID: "u", AgentID: "7", AgentName: "Jon", Role: 2, Departments: []string{"a", "b"}}
	require.Equal(t, Attribution{Agent: "uu", Number: "7", Name: "Jon", Departments: "a|b"}, AttributionOf(&agent))
	require.Equal(t, Attribution{Agent: "i7", Number: "7"}, AttributionOf(&record.Party{AgentID: "7", Role: 2}))
	third, bot := agent, agent
	third.Role, bot.Scope = 4, record.Bot
	require.Zero(t, AttributionOf(&third))
	require.Zero(t, AttributionOf(&bot))
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
