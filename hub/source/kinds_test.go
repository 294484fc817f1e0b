package source

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/source/mapping"
)

// made is what a source of a kind makes of bodies: type, and body without messageID and companyId.
func made(t *testing.T, kind string, tables map[string]any, bodies ...string) (events []string) {
	t.Helper()
	s := &Source{ID: "src_1", CompanyID: "demo", Config: Config{Name: "x", Kind: kind, Auth: Auth{Type: ByPath}, Tables: tables}}
	require.Empty(t, s.check(Rules{PublicURL: "https://hub.test"}))
	var inputs []Input
	for i, body := range bodies {
		inputs = append(inputs, Input{Seq: int64(i + 1), Body: []byte(body), ReceivedAt: 1637068656000})
	}
	trials, err := Try(s, true, inputs, time.UnixMilli(1637068656000))
	require.NoError(t, err)
	for _, trial := range trials {
		require.Contains(t, []Status{Mapped, Ignored}, trial.Status, "%s", trial.Reason)
		for _, e := range trial.Events {
			var body map[string]any
			require.NoError(t, json.Unmarshal(e.Body, &body))
			delete(body, "messageID")
			delete(body, "companyId")
			raw, err := json.Marshal(body)
			require.NoError(t, err)
			events = append(events, e.Type.String()+" "+string(raw))
		}
	}
	return events
}

const freeswitchA = `{"variables":{"uuid":"a-1","direction":"inbound","call_uuid":"a-1","sip_from_user":"%2B4915112345678","sip_to_user":"400800",
	"start_uepoch":"1637068156419000","progress_uepoch":"0","progress_media_uepoch":"0","answer_uepoch":"1637068160000000",
	"bridge_uepoch":"1637068170000000","end_uepoch":"1637068370500000","duration":"214","billsec":"210","cc_queue":"support%40default",
	"hangup_cause_q850":"16","sip_hangup_disposition":"recv_bye","bridge_channel":"sofia/internal/1001%4010.0.0.1"}}`

const freeswitchB = `{"variables":{"uuid":"b-1","direction":"outbound","originating_leg_uuid":"a-1","sip_to_user":"1001","cc_agent":"anna%40default",
	"channel_name":"sofia/internal/1001@10.0.0.1","start_uepoch":"1637068165000000","progress_uepoch":"1637068166000000",
	"answer_uepoch":"1637068170000000","bridge_uepoch":"1637068170000000","end_uepoch":"1637068370500000","duration":"205","billsec":"200",
	"sip_hangup_disposition":"send_bye"}}`

// A call to a queue that an agent answered, in every encoding that FreeSWITCH posts.
func TestFreeSWITCH(t *testing.T) {
	want := []string{
		`cdr.call {"alertTime":0,"answerTime":1637068160000,"bridgeTime":1637068170000,"callID":"a-1","callResult":8,"callType":2,` +
			`"customerNumber":"+4915112345678","duration":210,"endTime":1637068370500,"firstRouteId":"support@default",` +
			`"gatewayNumber":"400800","hangupDisposition":3,"startTime":1637068156419,"totalDuration":214}`,
		`cdr.party {"agentDN":"1001","agentID":"1001","agentRole":2,"alertTime":1637068166000,"answerTime":1637068170000,` +
			`"bridgeTime":1637068170000,"callID":"a-1","callResult":3,"duration":200,"endTime":1637068370500,"hangupDisposition":1,` +
			`"partyId":"b-1","startTime":1637068165000,"totalDuration":205}`,
	}
	agents := map[string]any{"agents": map[string]any{"anna@default": "1001"}}
	xml := func(record string) string {
		var v struct{ Variables map[string]string }
		require.NoError(t, json.Unmarshal([]byte(record), &v))
		var b strings.Builder
		for name, value := range v.Variables {
			b.WriteString("<" + name + ">" + value + "</" + name + ">")
		}
		return `<?xml version="1.0"?><cdr core-uuid="c"><variables>` + b.String() + `</variables></cdr>`
	}
	for name, encode := range map[string]func(string) string{
		"json":       func(s string) string { return s },
		"form":       func(s string) string { return "cdr=" + url.QueryEscape(s) },
		"form plain": func(s string) string { return "cdr=" + s },
		"base64":     func(s string) string { return "cdr=" + base64.StdEncoding.EncodeToString([]byte(s)) },
		"xml":        xml,
		"xml form":   func(s string) string { return "cdr=" + url.QueryEscape(xml(s)) },
	} {
		require.Equal(t, want, made(t, "freeswitch", agents, encode(freeswitchA), encode(freeswitchB)), name)
	}

	// A registered user calls out through a trunk, and nobody answers.
	out := `{"variables":{"uuid":"a-2","user_context":"default","sip_from_user":"1001","sip_to_user":"015112345678",
		"bridge_channel":"sofia/external/015112345678@trunk","start_uepoch":"1637068156000000","answer_uepoch":"0","bridge_uepoch":"0",
		"end_uepoch":"1637068186000000","duration":"30","billsec":"0","hangup_cause_q850":"19","sip_hangup_disposition":"send_refuse"}}`
	events := made(t, "freeswitch", nil, out)
	require.Len(t, events, 2)
	for _, part := range []string{`cdr.call `, `"callType":3`, `"callResult":7`, `"reasonOfNotAnswer":"NOT_ANSWER"`, `"customerNumber":"015112345678"`} {
		require.Contains(t, events[0], part)
	}
	require.Contains(t, events[1], `"agentID":"1001"`)
	require.Empty(t, made(t, "freeswitch", nil,
		`{"variables":{"uuid":"b-2","originating_leg_uuid":"a-2","channel_name":"sofia/external/015112345678@trunk"}}`))
}

func TestKamailio(t *testing.T) {
	require.Equal(t, []string{
		`cdr.call {"answerTime":1796053405000,"callID":"abc","callResult":8,"callType":2,"customerNumber":"491","duration":1,` +
			`"endTime":1796053406000,"gatewayNumber":"400800","hangupDisposition":2,"startTime":1796053403000,"totalDuration":3}`,
		`cdr.call {"callID":"d6f9d6dd4fa0ba8bd0a8ce8e5dc2d7f2","callResult":7,"callType":3,"customerNumber":"492","duration":0,` +
			`"endTime":1796053406000,"gatewayNumber":"400800","reasonOfNotAnswer":"BUSY_NOW","startTime":1796053403000}`,
	}, replaceHash(made(t, "kamailio", nil,
		`{"event":"end","callid":"abc","direction":"in","caller":"491","callee":"400800","start":1796053403,"answer":1796053405,"end":1796053406,"by":"callee"}`,
		`{"event":"failed","callid":"abc@127.0.0.1","direction":"out","caller":"400800","callee":"492","start":1796053403,"end":1796053406,"code":"486"}`,
	)))
}

// replaceHash puts a fixed text in place of the hash of a Call-ID.
func replaceHash(events []string) []string {
	for i, e := range events {
		at := strings.Index(e, `"callID":"`) + len(`"callID":"`)
		if end := at + strings.IndexByte(e[at:], '"'); end-at == 32 {
			events[i] = e[:at] + "d6f9d6dd4fa0ba8bd0a8ce8e5dc2d7f2" + e[end:]
		}
	}
	return events
}

func TestTwilio(t *testing.T) {
	leg := "CallSid=CA1&From=%2B491&To=%2B492&Direction=inbound&Timestamp=Tue%2C+16+Nov+2021+13%3A10%3A56+%2B0000"
	events := made(t, "twilio", map[string]any{"agents": map[string]any{"client:anna": "1001"}},
		leg+"&CallStatus=initiated&SequenceNumber=0", leg+"&CallStatus=in-progress&SequenceNumber=1",
		"CallSid=CA2&ParentCallSid=CA1&From=%2B491&To=client%3Aanna&CallStatus=ringing",
		leg+"&CallStatus=completed&Duration=1&CallDuration=9&SequenceNumber=2")
	var types []string
	for _, e := range events {
		typ, _, _ := strings.Cut(e, " ")
		types = append(types, typ)
	}
	require.Equal(t, []string{"call.created", "call.established", "call.ringing", "call.released", "call.deleted", "cdr.call"}, types)
	require.Contains(t, events[2], `"agentID":"1001"`)
	require.Contains(t, events[2], `"callID":"CA1"`)
	require.Contains(t, events[5], `"duration":9`, "CallDuration, in seconds")
	require.Contains(t, events[5], `"startTime":1637068247000`)
}

func TestAmazonConnect(t *testing.T) {
	event := func(typ, more string) string {
		return `{"id":"` + typ + `","detail-type":"Amazon Connect Contact Event","time":"2021-11-16T13:10:56Z","detail":{"eventType":"` + typ +
			`","contactId":"c1","channel":"VOICE","initiationMethod":"INBOUND"` + more + `}}`
	}
	queue := `,"queueInfo":{"queueArn":"arn:aws:connect:x:1:instance/i/queue/q1","enqueueTimestamp":"2021-11-16T13:10:00.500Z"}`
	agent := `,"agentInfo":{"agentArn":"arn:aws:connect:x:1:instance/i/agent/u1"}`
	require.Equal(t, []string{
		`call.created {"callID":"c1","callType":"Inbound","partyID":"c1"}`,
		`queue.entered {"contactId":"c1","enteredAt":1637068200500,"media":"call","queueId":"q1"}`,
		`queue.left {"agentUUID":"u1","contactId":"c1","leftAt":1637068256000,"media":"call","outcome":"answered","queueId":"q1"}`,
		`call.established {"agentUUID":"u1","callID":"c1","partyID":"c1"}`,
		`call.released {"callID":"c1","hangupDisposition":3,"partyID":"c1"}`,
		`call.deleted {"callID":"c1"}`,
		`queue.left {"contactId":"c1","leftAt":1637068256000,"media":"call","outcome":"abandoned","queueId":"q1"}`,
		`call.released {"callID":"c1","hangupDisposition":1,"partyID":"c1"}`,
	}, made(t, "amazon-connect", nil,
		event("INITIATED", ""), event("QUEUED", queue), event("CONNECTED_TO_AGENT", queue+agent),
		event("DISCONNECTED", queue+agent+`,"disconnectReason":"CUSTOMER_DISCONNECT"`), event("COMPLETED", ""),
		event("DISCONNECTED", queue), event("CONTACT_DATA_UPDATED", "")))
}

func TestChatwoot(t *testing.T) {
	require.Equal(t, []string{
		`chat.requested {"at":1637068256000,"chatId":"7","queueId":"3","visitorId":"9"}`,
		`chat.accepted {"agentUUID":"u-5","at":1637068260000,"chatId":"7","handledBy":"agent"}`,
		`chat.transferred {"at":1637068270000,"chatId":"7","toAgentUUID":"6"}`,
		`chat.ended {"at":1637068300000,"chatId":"7","reason":"closed"}`,
	}, made(t, "chatwoot", map[string]any{"agents": map[string]any{"5": "u-5"}},
		`{"event":"conversation_created","id":7,"inbox_id":3,"created_at":1637068256,"meta":{"sender":{"id":9}}}`,
		`{"event":"conversation_updated","id":7,"updated_at":1637068260,"meta":{"assignee":{"id":5}},"changed_attributes":[{"assignee_id":{"previous_value":null,"current_value":5}}]}`,
		`{"event":"conversation_updated","id":7,"updated_at":1637068270,"meta":{"assignee":{"id":6}},"changed_attributes":[{"assignee_id":{"previous_value":5,"current_value":6}}]}`,
		`{"event":"conversation_updated","id":7,"updated_at":1637068280,"meta":{},"changed_attributes":[{"labels":{"previous_value":[],"current_value":["a"]}}]}`,
		`{"event":"conversation_status_changed","id":7,"status":"resolved","updated_at":1637068300}`,
		`{"event":"message_created","id":8}`))
}

// Every kind that is offered works with its defaults, and every built-in mapping is of a kind.
func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		c := Config{Name: "x", Kind: k.Name, Auth: Auth{Type: ByPath}}
		if k.OwnMapping {
			c.Mapping = &mapping.Spec{Decode: mapping.AsJSON, Match: []mapping.Row{{Ignore: true}}}
		}
		require.Empty(t, c.check(Rules{}), k.Name)
		require.Contains(t, k.SetUp, "{url}", k.Name)
	}
}
