package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	noon = time.UnixMilli(1637068256419)
	acme = Gate{CompanyID: "acme-1", Now: func() time.Time { return noon }}
)

// wrap is the envelope of a body.
func wrap(typ, data string) string { return `{"type":"` + typ + `","data":` + data + `}` }

func TestRefusedEnvelopes(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for in, want := range map[string]string{
		``:                                    "400 malformed_json ",
		`{`:                                   "400 malformed_json ",
		`{"type":"call.ringing"`:              "400 malformed_json ",
		`{"type":"call.ringing",}`:            "400 malformed_json ",
		`{"type":tru}`:                        "400 malformed_json ",
		`{"type":01}`:                         "400 malformed_json ",
		"{\"type\":\"a\nb\"}":                 "400 malformed_json ",
		`{"type":"\x"}`:                       "400 malformed_json ",
		`{"data":{"a":[1,2}}`:                 "400 malformed_json ",
		wrap("hub.test", `{}`) + `{}`:         "400 malformed_json ",
		wrap("call.held", `{"a":NaN}`):        "400 malformed_json ",
		"\xef\xbb\xbf{}":                      "400 malformed_json ",
		`[]`:                                  "422 wrong_type ",
		`42`:                                  "422 wrong_type ",
		`{}`:                                  "422 missing /type",
		`{"type":null,"data":{}}`:             "422 missing /type",
		`{"type":5,"data":{}}`:                "422 wrong_type /type",
		`{"type":"call.flown","data":{}}`:     "422 unknown_type /type",
		`{"type":"call.ringing"}`:             "422 missing /data",
		`{"type":"call.ringing","data":null}`: "422 missing /data",
		`{"type":"call.ringing","data":[]}`:   "422 wrong_type /data",
		`{"data":[],"type":"call.ringing"}`:   "422 wrong_type /data",
		`{"type":"call.ringing","type":"call.held","data":{}}`:                                  "422 duplicate_key /type",
		`{"data":null,"type":"call.held","data":{"callID":"1"}}`:                                "422 duplicate_key /data",
		`{"type":"call.ringing","data":{"callID":"1"},"a/b~":1}`:                                "422 unknown_field /a~1b~0",
		`{" type":"call.ringing","data":{"callID":"1"}}`:                                        "422 unknown_field / type",
		`{"id":7,"type":"call.ringing","data":{"callID":"1"}}`:                                  "422 wrong_type /id",
		`{"id":"","type":"call.ringing","data":{"callID":"1"}}`:                                 "422 invalid_id /id",
		`{"id":"a b","type":"call.ringing","data":{"callID":"1"}}`:                              "422 invalid_id /id",
		`{"id":"` + strings.Repeat("x", 129) + `","type":"call.ringing","data":{"callID":"1"}}`: "422 invalid_id /id",
		`{"time":"soon","type":"call.ringing","data":{"callID":"1"}}`:                           "422 wrong_type /time",
		`{"time":1.5,"type":"call.ringing","data":{"callID":"1"}}`:                              "422 wrong_type /time",
		`{"time":-1,"type":"call.ringing","data":{"callID":"1"}}`:                               "422 out_of_range /time",
		`{"time":99999999999999999999,"type":"call.ringing","data":{"callID":"1"}}`:             "422 out_of_range /time",

		wrap("hub.test", `{}`): "422 internal_type /type",
		wrap("EventSubscriptionPaused",
			`{}`): "422 internal_type /type",
		wrap("call.ringing", `{}`): "422 missing /data/callID",
		wrap("call.ringing",
			`{"callID":null}`): "422 missing /data/callID",
		wrap("call.ringing",
			`{"callID":" "}`): "422 missing /data/callID",
		wrap("call.ringing",
			`{"callID":{}}`): "422 wrong_type /data/callID",
		wrap("call.ringing",
			`{"callID":1.5}`): "422 wrong_type /data/callID",
		wrap("call.ringing",
			`{"callID":"1","callID":"2"}`): "422 duplicate_key /data/callID",
		wrap("call.ringing",
			`{"callID":"1","c\u0061llID":"2"}`): "422 duplicate_key /data/callID",
		wrap("call.ringing",
			`{"callID":"a\u0000b"}`): "422 invalid_value /data/callID",
		wrap("call.ringing",
			`{"callID":"\ud800"}`): "422 invalid_value /data/callID",
		wrap("call.ringing",
			`{"callID":"`+strings.Repeat("x", 257)+`"}`): "422 too_long /data/callID",
		wrap("call.ringing",
			`{"callID":"1","companyId":"other"}`): "422 foreign_company /data/companyId",
		wrap("call.ringing",
			`{"callID":"1","companyId":["acme-1"]}`): "422 wrong_type /data/companyId",
		wrap("call.ringing",
			`{"callID":"1","messageID":"EventHeld"}`): "422 type_mismatch /data/messageID",
		wrap("call.ringing",
			`{"callID":"1","referenceID":9223372036854775808}`): "422 out_of_range /data/referenceID",
		wrap("call.ringing",
			`{"callID":"1","creationTime":"x"}`): "422 wrong_type /data/creationTime",
		wrap("call.ringing",
			`{"callID":"1","creationTime":true}`): "422 wrong_type /data/creationTime",
		wrap("call.agent_error",
			`{"callID":"1"}`): "422 missing /data/agentUUID",
		wrap("call.party_error",
			`{"errorCode":1}`): "422 missing /data/callID",
		wrap("cdr.call",
			`{"duration":"1e3","callID":"1"}`): "422 wrong_type /data/duration",
		wrap("cdr.call",
			`{"duration":1.5,"callID":"1"}`): "422 wrong_type /data/duration",
		wrap("cdr.call",
			`{"fee":"0x10","callID":"1"}`): "422 wrong_type /data/fee",
		wrap("cdr.call",
			`{"fee":1e999,"callID":"1"}`): "422 out_of_range /data/fee",
		wrap("cdr.call",
			`{"inboundTransferedHumanAgent":1,"callID":"1"}`): "422 wrong_type /data/inboundTransferedHumanAgent",
		wrap("cdr.call",
			`{"attachedData":1,"callID":"1"}`): "422 wrong_type /data/attachedData",
		wrap("cdr.party",
			`{"callID":"1"}`): "422 missing /data/partyId",
		wrap("agent.status",
			`{"agentID":"1"}`): "422 missing /data/startTime",
		wrap("agent.status",
			`{"agentID":"1","startTime":0}`): "422 missing /data/startTime",
		wrap("agent.status",
			`{"startTime":1637068256419}`): "422 missing /data/agentUUID",
		wrap("queue.entered",
			`{"contactId":"1","media":"fax","queueId":"q","enteredAt":1637068256419}`): "422 invalid_value /data/media",
		wrap("queue.left",
			`{"contactId":"1","media":"call","queueId":"q","enteredAt":1637068256419}`): "422 missing /data/leftAt",
		wrap("chat.rated",
			`{"chatId":"1","at":"","score":3}`): "422 missing /data/at",
		wrap("chat.transferred",
			`{"chatId":"1","at":1637068256419}`): "422 missing /data/toAgentUUID",
		wrap("chat.transferred",
			`{"chatId":"1","at":1637068256419,"toAgentUUID":"a","toDepartmentId":"d"}`): "422 missing /data/toAgentUUID",
		wrap("visitor.left",
			`{"at":1637068256419}`): "422 missing /data/visitorId",

		wrap("call.ringing", `{"callID":"1","x":"`+"\xff"+`"}`):                       "400 invalid_utf8 ",
		wrap("call.ringing", `{"callID":"1","x":`+deep(31)+`}`):                       "422 too_deep ",
		wrap("call.ringing", `{"callID":"1","x":`+deep(200)+`}`):                      "422 too_deep ",
		wrap("call.ringing", `{"callID":"1","x":"`+strings.Repeat("x", MaxSize)+`"}`): "413 too_large ",
	} {
		e, p := acme.Envelope([]byte(in))
		require.Nil(t, e, in)
		require.Equal(t, want, fmt.Sprintf("%d %s %s", p.Status, p.Code, p.Field), "%.200s: %s", in, p.Message)
		require.NotEmpty(t, p.Message)
	}
}

func TestWarnings(t *testing.T) {
	for in, want := range map[string]string{
		wrap("cdr.call",
			`{"callID":"1","duration":""}`): "empty /data/duration",
		wrap("cdr.call",
			`{"callID":"1","duration":-3}`): "negative /data/duration",
		wrap("cdr.call",
			`{"callID":"1","callResult":77}`): "unknown_code /data/callResult",
		wrap("cdr.call",
			`{"callID":"1","mainDialType":"Carrier pigeon"}`): "unknown_code /data/mainDialType",
		wrap("cdr.call",
			`{"callID":"1","startTime":1637068256}`): "looks_like_seconds /data/startTime",
		wrap("cdr.call",
			`{"callID":"1","startTime":-1}`): "negative /data/startTime",
		wrap("cdr.call",
			`{"callID":"1","startTime":1637068256419000}`): "out_of_range /data/startTime",
		wrap("cdr.call",
			`{"callID":"1","startTime":1637068256419,"endTime":"1637068256418"}`): "end_before_start /data/endTime",
		wrap("chat.rated",
			`{"chatId":"1","at":1637068256419,"score":6}`): "out_of_range /data/score",
		wrap("chat.accepted",
			`{"chatId":"1","at":1637068256419,"handledBy":"cat"}`): "unknown_code /data/handledBy",
		`{"time":1637068256,"type":"call.held","data":{"callID":"1"}}`: "looks_like_seconds /time",
		`{"data":{"callID":"1"},"time":1637068256,"type":"call.held"}`: "looks_like_seconds /time",
		wrap("cdr.call",
			`{"callID":"1","startTime":0,"endTime":null,"duration":"100","fee":""}`): "empty /data/fee",
		wrap("cdr.call",
			`{"callID":"1","startTime":"\t0","duration":" 100\r\n","fee":"1.5\t","inboundTransferedHumanAgent":"true\n","totalDuration":"\n-1"}`): "negative /data/totalDuration",
	} {
		e, p := acme.Envelope([]byte(in))
		require.Nil(t, p, "%s: %v", in, p)
		require.Len(t, e.Warnings, 1, in)
		require.Equal(t, want, e.Warnings[0].Code+" "+e.Warnings[0].Field, in)

		strict := acme
		strict.Strict = true
		e, p = strict.Envelope([]byte(in))
		require.Nil(t, e, in)
		require.Equal(t, want, p.Code+" "+p.Field)
		require.Equal(t, 422, p.Status)
	}
}

func TestAnyTellsBodiesApart(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"EventRinging","data":{"callID":"1"}}`:              "call.ringing",
		`{"data":{"callID":"1"},"type":"call.ringing"}`:              "call.ringing",
		`{"messageID":"EventRinging","callID":"1"}`:                  "call.ringing",
		`{"callID":"1","type":"inbound","messageID":"EventRinging"}`: "call.ringing",
		`{"data":"x","callID":"1","messageID":"EventRinging"}`:       "call.ringing",
		`{"callID":"1","partyId":"2","callResult":3}`:                "cdr.party",
		`{"callID":"1","endTime":1637068256419}`:                     "cdr.call",
		`{"type":null,"callID":"1","callResult":8}`:                  "cdr.call",
		`{"callID":"1"}`: "/type",
		`{"callID":"1","partyId":null,"callResult":null}`:                          "/type",
		`{"type":"call.ringing","callID":"1"}`:                                     "/callID", // an envelope without data
		`{"data":{"callID":"1"}}`:                                                  "/type",
		`{"messageID":"EventFlown","callID":"1"}`:                                  "/messageID",
		`{"messageID":"call.ringing","callID":"1"}`:                                "/messageID",
		`{"messageID":"EventTest","callID":"1"}`:                                   "/messageID",
		`{"type":"call.ringing","data":{"callID":"1"},"messageID":"EventRinging"}`: "/messageID",
	} {
		e, p := acme.Any([]byte(in))
		if p != nil {
			require.Equal(t, want, p.Field, in)
			continue
		}
		require.Equal(t, want, e.Type.String(), in)
	}
}

func TestOrderKeys(t *testing.T) {
	for want, in := range map[string]string{
		"cdr/1":          wrap("cdr.call", `{"callID":" 1 "}`),
		"cdr/17":         wrap("cdr.call", `{"callID":17}`),
		"cdr/a/b":        wrap("cdr.call", `{"callID":"a\/b"}`),
		"cdr/1/2":        wrap("cdr.party", `{"callID":"1","partyId":"2"}`),
		"cdr/a%2Fb%25/c": wrap("cdr.party", `{"callID":"a/b%","partyId":"c"}`),
		"cdr/a/b%/c":     wrap("cdr.party", `{"callID":"a","partyId":"b%/c"}`),
		"bot/1":          wrap("cdr.bot_call", `{"callID":"1"}`),
		"bot/1/2":        wrap("cdr.bot_party", `{"callID":"1","partyId":"2"}`),
		"agent/u":        wrap("agent.status", `{"agentUUID":"u","agentID":"7","startTime":1637068256419}`),
		"agent/7":        wrap("agent.status", `{"agentUUID":"","agentID":7,"startTime":1637068256419}`),
		"call/1":         wrap("call.party_error", `{"callID":"1","agentID":"7"}`),
		"agent/x":        wrap("call.agent_error", `{"callID":"","agentID":"x"}`),
		"call/é":         wrap("call.ringing", `{"callID":"\u00e9"}`),
		"queue/1":        wrap("queue.left", `{"contactId":"1","media":"chat","queueId":3,"leftAt":1637068256419}`),
		"chat/1":         wrap("chat.missed", `{"chatId":"1","at":1637068256419}`),
		"visitor/1":      wrap("visitor.left", `{"visitorId":"1","at":1637068256419}`),
	} {
		e, p := acme.Envelope([]byte(in))
		require.Nil(t, p, "%s: %v", in, p)
		require.Equal(t, want, e.OrderKey)
	}
}

func TestOccurredAt(t *testing.T) {
	for in, want := range map[string]int64{
		`{"time":5,"type":"cdr.call","data":{"callID":"1","creationTime":1637068256500}}`:              5,
		`{"time":"1637068256501","type":"cdr.call","data":{"callID":"1"}}`:                             1637068256501,
		wrap("cdr.call", `{"callID":"1","endTime":1637068256502,"creationTime":"1637068256500"}`):      1637068256500,
		wrap("cdr.call", `{"callID":"1","endTime":1637068256502,"startTime":1637068256501}`):           1637068256502,
		wrap("agent.status", `{"agentID":"1","startTime":1637068256503}`):                              1637068256503,
		wrap("agent.status", `{"agentID":"1","startTime":1637068256503,"creationTime":null}`):          1637068256503,
		wrap("cdr.call", `{"callID":"1","endTime":-5,"creationTime":0,"startTime":99999999999999999}`): noon.UnixMilli(),
		wrap("call.held", `{"callID":"1"}`):                                                            noon.UnixMilli(),
	} {
		e, p := acme.Envelope([]byte(in))
		require.Nil(t, p, "%s: %v", in, p)
		require.Equal(t, want, e.OccurredAt, in)
	}
}

func TestBodyKeepsTheSendersBytes(t *testing.T) {
	const both = `"messageID":"EventHeld","companyId":"acme-1"`
	for in, want := range map[string]string{
		` {"callID":"1"} `: `{` + both + `,"callID":"1"}`,
		"{ \"n\" : 1.50e+1 ,\n\"callID\":\"1\" }": "{" + both +
			", \"n\" : 1.50e+1 ,\n\"callID\":\"1\" }",
		`{"callID":"1","companyId":"acme-1"}`:                           `{"messageID":"EventHeld","callID":"1","companyId":"acme-1"}`,
		`{"callID":"1","companyId":" acme-1 ","messageID":"EventHeld"}`: `{"callID":"1","companyId":" acme-1 ","messageID":"EventHeld"}`,
		`{"callID":"1","companyId":null,"x":1,"messageID":""}`:          `{"callID":"1","companyId":"acme-1","x":1,"messageID":"EventHeld"}`,
		`{"messageID":null,"callID":"1","companyId": null }`:            `{"messageID":"EventHeld","callID":"1","companyId": "acme-1" }`,
		`{"callID":"1","x":123456789012345678901234567890,"x":0.10,"é":"\ud800\/ "}`: `{` + both +
			`,"callID":"1","x":123456789012345678901234567890,"x":0.10,"é":"\ud800\/ "}`,
	} {
		raw := []byte(in)
		e, p := acme.Bare(CallHeld, raw)
		require.Nil(t, p, "%s: %v", in, p)
		clear(raw)
		require.Equal(t, want, string(e.Body), "and no memory of the caller")
	}
	own := Gate{CompanyID: "acme-1", Internal: true}
	e, p := own.Bare(Test, []byte(`{ }`))
	require.Nil(t, p)
	require.Equal(t, `{"messageID":"EventTest","companyId":"acme-1" }`, string(e.Body))
	require.Empty(t, e.OrderKey)
	require.NotZero(t, e.OccurredAt)
}

func TestHashIsOfTypeAndCompactedData(t *testing.T) {
	compact := sha256.Sum256([]byte("call.held\n" + `{"callID":"1 1","x":[1,{"y":2}]}`))
	for _, in := range []string{
		wrap("call.held", `{"callID":"1 1","x":[1,{"y":2}]}`),
		`{"time":77777777777777,"id":"a", "data" : {"callID" : "1 1", "x":[ 1,{"y":2 }]} ,"type":"EventHeld" }`,
		`{"messageID":"EventHeld","callID":"1 1"}`,
	} {
		e, p := acme.Any([]byte(in))
		require.Nil(t, p)
		require.Equal(t, strings.Contains(in, `"x"`), e.Hash == compact, in)
	}
	bare, p := acme.Bare(CallHeld, []byte("\t{\"callID\":\"1 1\",\r\n\"x\":[1,{\"y\":2}]}\n"))
	require.Nil(t, p)
	require.Equal(t, compact, bare.Hash)
	other, p := acme.Bare(CallHeld, []byte(`{"x":[1,{"y":2}],"callID":"1 1"}`))
	require.Nil(t, p)
	require.NotEqual(t, compact, other.Hash, "key order counts")
}

func TestReadTakesTheItemsApart(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 300) + `1` + strings.Repeat(`}`, 300)
	items, p := acme.Read(nil, 0, []byte(` [ {"id":"a","type":"call.held","data":{"callID":"1"}}, 7 ,
		{"id":"b","type":"call.held","data":{"callID":1.5}},`+deep+`,{"messageID":"EventHeld","callID":"`+"\xff"+`"},
		{"id":"c","type":"call.held","data":{"callID":"`+strings.Repeat("x", MaxSize)+`"}},{"messageID":"EventHeld","callID":"9"}] `), 7)
	require.Nil(t, p)
	var got []string
	for _, it := range items {
		if it.Event != nil {
			require.Nil(t, it.Problem)
			require.Equal(t, it.ID, it.Event.ID)
			got = append(got, it.ID+"+"+it.Event.OrderKey)
			continue
		}
		got = append(got, it.ID+"-"+it.Problem.Code)
	}
	require.Equal(t,
		[]string{"a+call/1", "-wrong_type", "b-wrong_type", "-too_deep", "-invalid_utf8", "c-too_large", "+call/9"}, got)

	for in, want := range map[string]string{
		`[]`:               "400 empty",
		` [ ] `:            "400 empty",
		`[`:                "400 malformed_json",
		`[{}`:              "400 malformed_json",
		`[{},]`:            "400 malformed_json",
		`[{} {}]`:          "400 malformed_json",
		`[{}]x`:            "400 malformed_json",
		`[{},{},{},{}]`:    "413 too_many",
		`[{},{"a":[1,2}]]`: "400 malformed_json",
	} {
		items, p := acme.Read(nil, 0, []byte(in), 3)
		require.Empty(t, items, in)
		require.NotNil(t, p, in)
		require.Equal(t, want, fmt.Sprintf("%d %s", p.Status, p.Code), in)
	}

	items, p = acme.Read(nil, CallHeld, []byte(`{"callID":"1"}`), 3)
	require.Nil(t, p)
	require.Equal(t, CallHeld, items[0].Event.Type)
	items, p = acme.Read(nil, 0, []byte(`{"callID`), 3)
	require.Nil(t, p, "one event that is not JSON is that item's own trouble")
	require.Equal(t, "malformed_json", items[0].Problem.Code)
}

func TestEverySamplePassesTheStrictGate(t *testing.T) {
	g := Gate{
		CompanyID: "acme-1", Strict: true, Internal: true, Now: func() time.Time { panic("a sample without a time") },
	}
	for _, typ := range Types() {
		e, p := g.Bare(typ, Sample(typ))
		require.Nil(t, p, "%s: %v", typ, p)
		require.Equal(t, typ, e.Type)
		require.InDelta(t, noon.UnixMilli(), e.OccurredAt, 2*3_600_000, typ)
		require.Equal(t, typ.Internal(), e.OrderKey == "", typ)
	}
	require.Nil(t, Sample(0))
	require.Nil(t, Sample(end))
}

func TestEveryTypeHasABody(t *testing.T) {
	for _, typ := range Types() {
		b := bodies[typ]
		require.NotNil(t, b, typ)
		for _, alternatives := range append(b.needs, b.oneOf, b.parts) {
			for _, s := range alternatives {
				require.Contains(t, b.fields, slotNames[s], typ)
			}
		}
	}
}

// same holds the promise of the gate against encoding/json: the body is what
// was sent, plus messageID and companyId.
func same(t *testing.T, e *Event, sent []byte) {
	t.Helper()
	require.True(t, json.Valid(e.Body), "%q", e.Body)
	in, out := object(t, sent), object(t, e.Body)
	for name, want := range map[string]string{"messageID": e.Type.MessageID(), "companyId": "acme-1"} {
		if s, _ := in[name].(string); strings.Trim(s, " \t\r\n") == "" {
			if _, number := in[name].(json.Number); !number {
				in[name] = want
			}
		}
	}
	require.Equal(t, in, out)
}

func object(t *testing.T, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	require.NoError(t, d.Decode(&m), "%q", b)
	return m
}

func FuzzBare(f *testing.F) {
	for _, typ := range Types() {
		f.Add(uint8(typ), Sample(typ))
	}
	f.Add(uint8(CallHeld), []byte(`{"callID":"1","companyId":null,"messageID":"","x":[[{}]],"y":"\ud800\u00e9"}`))
	f.Add(uint8(CDRCall), []byte("{ \"c\\u0061llID\" :\t\" 1\\n\" , \"duration\":\"-0012\",\"fee\":1e-5}"))
	f.Fuzz(func(t *testing.T, n uint8, raw []byte) {
		e, p := Gate{CompanyID: "acme-1", Internal: true}.Bare(Type(n), raw)
		require.NotEqual(t, e == nil, p == nil)
		if p != nil {
			require.Contains(t, []int{400, 413, 422}, p.Status)
			require.Equal(t, json.Valid(raw), p.Code != "malformed_json", "%s", p.Message)
			return
		}
		same(t, e, raw)
	})
}

func FuzzAny(f *testing.F) {
	for _, typ := range Types() {
		f.Add(Sample(typ))
		f.Add([]byte(wrap(typ.String(), string(Sample(typ)))))
	}
	f.Add([]byte(`{"data":{"callID":"1"},"time":"5","type":"EventHeld","id":"a"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, p := acme.Any(raw)
		require.NotEqual(t, e == nil, p == nil)
		if p != nil {
			require.Equal(t, json.Valid(raw), p.Code != "malformed_json", "%s", p.Message)
			return
		}
		sent := raw
		var env struct {
			Type *string
			Data json.RawMessage
		}
		if m := object(t, raw); m["messageID"] == nil && m["data"] != nil {
			require.NoError(t, json.Unmarshal(raw, &env))
			sent = env.Data
		}
		same(t, e, sent)

		items, p := acme.Read(nil, 0, append(append([]byte("[\n"), raw...), ']'), 1)
		require.Nil(t, p)
		require.Equal(t, e.Hash, items[0].Event.Hash, "the same alone and in an array")
		require.Equal(t, e.Body, items[0].Event.Body)
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`[{"type":"call.held","data":{"callID":"1"}},[[]],{"a":{}}, 1e5, "\ud800"]`))
	f.Add([]byte(`[` + strings.Repeat(`{"a":[`, 70) + strings.Repeat(`]}`, 70) + `,null]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		items, p := acme.Read(nil, 0, raw, 5)
		if p != nil {
			require.Empty(t, items)
			if p.Code != "too_many" {
				require.Equal(t, json.Valid(raw), p.Code != "malformed_json", "%s", p.Message)
			}
			return
		}
		require.NotEmpty(t, items)
		require.LessOrEqual(t, len(items), 5)
		broken := items[0].Problem != nil && items[0].Problem.Code == "malformed_json"
		require.Equal(t, json.Valid(raw), !broken, "%q", raw)
	})
}

func BenchmarkGate(b *testing.B) {
	body := Sample(CDRCall)
	if len(body) < 1000 {
		b.Fatal("the sample should be about 1 KB")
	}
	small := Sample(CallRinging)

	for name, in := range map[string][]byte{
		"envelope": []byte(`{"id":"pbx1-6bf3cbb1-cdr","type":"cdr.call","time":1637068408120,"data":` + string(body) +
			`}`),
		"bare": body,
		"envelope-small": []byte(`{"id":"pbx1-6bf3cbb1-ringing-2","type":"call.ringing","time":1637068256419,"data":` +
			string(small) + `}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, p := acme.Any(in); p != nil {
					b.Fatal(p)
				}
			}
		})
	}
	// How much of the time above goes into the hash.
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			_ = sha256.Sum256(body)
		}
	})
}

// Of items whose type is given by a routing key, envelopes or bare bodies may
// not say otherwise.
func TestTypeOfTheRoutingKey(t *testing.T) {
	for raw, want := range map[string]string{
		`{"callID":"c"}`:                                        "",
		`{"callID":"c","messageID":"EventHeld"}`:                "",
		`{"callID":"c","data":{}}`:                              "",
		`{"callID":"c","type":"x"}`:                             "",
		`{"type":"call.held","data":{"callID":"c"}}`:            "",
		`{"data":{"callID":"c"},"type":"EventHeld"}`:            "",
		`{"type":"call.ringing","data":{"callID":"c"}}`:         "type_mismatch /type",
		`{"data":{"callID":"c"},"type":"EventRinging"}`:         "type_mismatch /type",
		`{"callID":"c","messageID":"EventRinging"}`:             "type_mismatch /messageID",
		`{"type":"call.flown","data":{"callID":"c"}}`:           "unknown_type /type",
		`{"type":"call.ringing","data":{"callID":"c"},"x":1}`:   "unknown_field /x",
		`{"data":{"callID":"c"}}`:                               "missing /callID",
		`{"callID":"c","callResult":1,"messageID":"EventHeld"}`: "",
	} {
		items, bad := Gate{CompanyID: "acme", Type: CallHeld}.Read(nil, 0, []byte(raw), 1)
		require.Nil(t, bad)
		got := ""
		if p := items[0].Problem; p != nil {
			got = p.Code + " " + p.Field
		} else {
			require.Equal(t, CallHeld, items[0].Event.Type)
		}
		require.Equal(t, want, got, raw)
	}
}
