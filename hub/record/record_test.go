package record

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
)

// says reads an event whose body says a T.
func says[T any](t *testing.T, typ event.Type, body string) *T {
	t.Helper()
	r := Read(&event.Event{Type: typ, OccurredAt: 77, Body: []byte(body)})
	is, ok := r.Says.(*T)
	require.True(t, ok, "%T", r.Says)
	return is
}

func TestCall(t *testing.T) {
	for body, want := range map[string]Call{
		`{"callID": " c ", "callType": "2", "callResult": 8, "startTime": "1000", "duration": "100", "totalDuration": 7, "gatewayNumber": 400, "customerNumber": "", "screenNumber": " 138 ", "encryptCustomerNumber": "e", "firstRouteId": "r"}`: {
			ID: "c", Type: 2, Result: 8, Start: 1000, Talk: 100, Total: 7, Gateway: "400", OtherNumber: "138", Route: "r",
		},
		`{"callID": "c", "callType": 3, "startTime": 1000, "bridgeTime": 2001, "endTime": 4000, "encryptCustomerNumber": "e", "customerNumber": "1"}`: {
			ID: "c", Type: 3, Start: 1000, End: 4000, Talk: 1, Total: 3, CustomerNumber: "1", OtherNumber: "e",
		},
		`{"callID": "c", "callType": 1, "startTime": 5000, "endTime": 4000, "bridgeTime": 0}`: {
			ID: "c", Type: 1, Start: 5000, End: 4000,
		},
		`{"callID": "c", "startTime": 1.5, "duration": -3, "endTime": 9000, "callType": 2, "callResult": "x"}`: {
			ID: "c", Type: 2, End: 9000,
		},
		`{"callID": "c", "firstCallAgentUUID": "called", "firstAgentUUID": "answered", "departmentId": " a | b||a", "transferCount": 2, "consultCount": 1, "hangupDisposition": 3, "mainDialType": "Inbound"}`: {
			ID: "c", FirstCalled: "called", FirstAnswered: "answered", Departments: []string{"a", "b"}, Transfers: 2,
			Consults: 1, Hangup: 3, DialType: "Inbound",
		},
	} {
		require.Equal(t, want, *says[Call](t, event.CDRCall, body), body)
		want.Scope = Bot
		require.Equal(t, want, *says[Call](t, event.CDRBotCall, body), body)
	}

	c := says[Call](t, event.CDRBotCall,
		`{"inboundTransferedHumanAgent": "true", "virtualAgentCallDuration": "3", "attachedData": {"a": 1}}`)
	require.True(t, *c.WantsHuman)
	require.EqualValues(t, 3, c.VirtualTalk)
	require.Equal(t, `{"a": 1}`, string(c.AttachedData))
	require.Nil(t,
		says[Call](t, event.CDRBotCall,
			`{"inboundTransferedHumanAgent": true, "inboundTransferedHumanAgent": null}`).WantsHuman)
}

func TestParty(t *testing.T) {
	for body, want := range map[string]Party{
		`{"callID": "c", "partyId": "p", "startTime": 1, "callType": 9, "agentUUID": "u", "agentID": 7, "agentName": "Jon", "agentDN": "1001", "phoneType": 4, "departmentId": " a | b||a", "duration": 5}`: {
			Call: "c", ID: "p", Start: 1, Type: 9, Dial: 1, Role: 2, Talk: 5, UUID: "u", AgentID: "7", AgentName: "Jon",
			DN: "1001", PhoneType: 4,
			Departments: []string{"a", "b"},
		},
		`{"callID": "c", "partyId": "p", "agentRole": 4, "dialType": 2, "callResult": 3, "endTime": 9}`: {
			Call: "c", ID: "p", Dial: 2, Role: 4, Result: 3, End: 9,
		},
		`{"agentRole": 4, "agentRole": null, "dialType": 2, "dialType": "", "duration": 4, "duration": null}`: {
			Dial: 1, Role: 2,
		},
	} {
		require.Equal(t, want, *says[Party](t, event.CDRParty, body), body)
	}
}

func TestStatus(t *testing.T) {
	s := says[Status](t, event.AgentStatus,
		`{"agentID": 7, "agentName": "Jon", "startTime": 5, "creationTime": 6, "loginStatus": 2, "noReadyStatus": 11, "callID": "c", "callType": 2}`)
	require.Equal(t, "i7", s.Key())
	require.EqualValues(t, []any{int64(5), int64(6), "c", int64(2)}, []any{s.Start, s.Created, s.Call, s.CallType})
	require.Equal(t, State{Login: 2, Reason: 11, Work: 4}, s.After(State{Login: 1, Work: 4}))

	both := says[Status](t, event.AgentStatus, `{"noReadyStatus": 11, "notReadyStatus": 12}`)
	require.EqualValues(t, 12, *both.Reason)
}

// Which agents of the boards an event names, and when.
func TestMentions(t *testing.T) {
	for _, c := range []struct {
		typ  event.Type
		body string
		want string
	}{
		{event.AgentStatus, `{"agentUUID": "u", "agentID": "1", "agentName": "n", "startTime": 5}`, "uu 1 n 5"},
		{event.CDRCall, `{"firstCallAgentUUID": "u", "firstAgentUUID": "no", "endTime": 5}`, "uu   5"},
		{event.CDRBotCall, `{"firstCallAgentUUID": "u"}`, ""},
		{event.CDRParty, `{"agentID": "1", "agentDN": "d", "startTime": 3, "endTime": 5}`, "i1 1  3"},
		{event.CDRParty, `{"agentID": "1", "agentRole": 4}`, ""},
		{event.CDRBotParty, `{"agentID": "1"}`, ""},
		{event.CallRinging, `{"agentUUID": "u", "partyRole": "Supervisor"}`, "uu   77"},
		{event.CallRinging, `{"agentUUID": "u", "partyRole": "ThirdPSTN"}`, ""},
		{event.QueueEntered, `{"agentUUID": "u", "enteredAt": 4, "leftAt": 6}`, "uu   4"},
		{event.QueueLeft, `{"agentUUID": "u", "enteredAt": 4, "leftAt": 6}`, "uu   6"},
		{event.ChatAccepted, `{"agentUUID": "u", "at": 4}`, "uu   4"},
		{event.ChatAccepted, `{"agentUUID": "u", "at": 4, "handledBy": "bot"}`, ""},
		{event.ChatTransferred, `{"agentUUID": "u", "toAgentUUID": "v", "at": 4}`, "uu   4, uv   4"},
		{event.VisitorArrived, `{"visitorId": "v", "at": 4}`, ""},
	} {
		r := Read(&event.Event{Type: c.typ, OccurredAt: 77, Body: []byte(c.body)})
		var got []string
		for _, m := range r.AppendMentions(nil) {
			got = append(got, fmt.Sprint(m.Key(), " ", m.AgentID, " ", m.AgentName, " ", m.At))
		}
		require.Equal(t, c.want, strings.Join(got, ", "), "%v %s", c.typ, c.body)
	}
}

func TestContacts(t *testing.T) {
	for _, c := range []struct {
		typ        event.Type
		body       string
		call, chat string
	}{
		{event.CDRCall, `{"callID": "c"}`, "c", ""},
		{event.CDRBotParty, `{"callID": "c", "partyId": "p"}`, "c", ""},
		{event.CallDTMFSent, `{"callID": "c"}`, "c", ""},
		{event.QueueLeft, `{"contactId": "c", "media": "call"}`, "c", ""},
		{event.QueueLeft, `{"contactId": "c", "media": "chat"}`, "", "c"},
		{event.ChatRated, `{"chatId": "c"}`, "", "c"},
		{event.AgentStatus, `{"agentID": "a", "callID": "c"}`, "", ""},
		{event.Test, `{}`, "", ""},
	} {
		r := Read(&event.Event{Type: c.typ, Body: []byte(c.body)})
		require.Equal(t, []string{c.call, c.chat}, []string{r.CallID(), r.ChatID()}, c.body)
	}
}

// Fields of a chat event mean something on their own type only.
func TestChatEvent(t *testing.T) {
	const body = `{"chatId": "c", "at": 4, "agentUUID": "u", "handledBy": "bot", "reason": "abandoned", "score": 4.5, "agentReplies": -1,
		"agentResponseMs": 9, "departmentId": "d", "toDepartmentId": "t", "invited": "true"}`
	chat := func(c ChatEvent) ChatEvent { c.Chat, c.At, c.Agent = "c", 4, "u"; return c }
	require.Equal(t, chat(ChatEvent{Type: event.ChatRequested, Department: "d", Invited: true}),
		*says[ChatEvent](t, event.ChatRequested, body))
	require.Equal(t, chat(ChatEvent{Type: event.ChatAccepted, Bot: true}), *says[ChatEvent](t, event.ChatAccepted, body))
	require.Equal(t, chat(ChatEvent{Type: event.ChatTransferred, ToDepartment: "t"}),
		*says[ChatEvent](t, event.ChatTransferred, body))
	require.Equal(t, chat(ChatEvent{Type: event.ChatEnded, Reason: "abandoned", ResponseMS: 9}),
		*says[ChatEvent](t, event.ChatEnded, body))
	require.Equal(t, chat(ChatEvent{Type: event.ChatRated, Score: 4.5}), *says[ChatEvent](t, event.ChatRated, body))
}

// Reading whatever the gate lets through takes what it can: no length below 0, and no
// text that PostgreSQL cannot store.
func FuzzRead(f *testing.F) {
	f.Add(byte(event.CDRCall),
		`{"callID": "\ud800", "startTime": "12", "duration": 9223372036854775807, "endTime": -9223372036854775808, "departmentId": "|\u0000|"}`)
	f.Add(byte(event.CDRParty),
		`{"agentUUID": {"a": 1}, "agentRole": "2", "loginStatus": "", "startTime": 1e9, "agentID": "\u0000"}`)
	f.Add(byte(event.AgentStatus), `{"agentUUID": "a\u0000", "loginStatus": "1", "creationTime": -5}`)
	f.Add(byte(event.QueueEntered), `{"contactId": "\u0000", "enteredAt": [], "callType": 3}`)
	f.Add(byte(event.ChatEnded), `{"chatId": "c", "reason": 7, "agentReplies": "3"}`)
	f.Fuzz(func(t *testing.T, typ byte, body string) {
		if !json.Valid([]byte(body)) {
			return
		}
		r := Read(&event.Event{Type: event.Type(typ), Body: []byte(body)})
		r.AppendMentions(nil)
		r.CallID()
		r.ChatID()
		switch s := r.Says.(type) {
		case *Call:
			require.False(t, s.Start < 0 || s.End < 0 || s.Talk < 0 || s.Total < 0, "%+v", s)
			s.AttachedData = nil // as it came
		case *Party:
			require.False(t, s.Start < 0 || s.End < 0 || s.Talk < 0 || s.Total < 0, "%+v", s)
		case *Status:
			require.False(t, s.Start < 0 || s.Created < 0, "%+v", s)
		}
		require.NotContains(t, fmt.Sprintf("%+v", r.Says), "\x00")
	})
}

// BenchmarkRead reads the records of the vendor's examples.
func BenchmarkRead(b *testing.B) {
	for _, typ := range []event.Type{
		event.CDRCall, event.CDRParty, event.AgentStatus, event.CallRinging, event.QueueEntered, event.ChatRequested,
	} {
		e := &event.Event{Type: typ, Body: event.Sample(typ)}
		b.Run(typ.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Read(e)
			}
		})
	}
}
