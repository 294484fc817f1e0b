package deepcall_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// noon of a day in Kolkata, at which this file's tests ask.
var noon = time.Date(2024, 11, 29, 6, 30, 0, 0, time.UTC)

// fact is an event so many seconds before noon; %d in it is that time.
func fact(seconds int, typ, data string) string {
	return fmt.Sprintf(`{"type": %q, "data": {%s}}`, typ,
		strings.ReplaceAll(data, "%d", fmt.Sprint(noon.Add(-time.Duration(seconds)*time.Second).UnixMilli())))
}

// centre tells a hub of a small contact centre: agents of two groups, calls that
// wait, go on and are over, breaks and after-call work.
func centre(t *testing.T, h *hubtest.Hub) {
	t.Helper()
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"timezone": "Asia/Kolkata"}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	put(t, h, object{
		"groups": []object{
			{"groupId": "55", "name": "Sales"}, {"groupId": "66", "name": "Support"}, {"groupId": "77", "name": "Nobody"},
		},
		"queues": []object{{"queueId": "q1", "groupId": "55", "strategy": "Round Robin"}, {"queueId": "q2", "groupId": "66"}},
		"agents": []object{
			{
				"agentUUID": "ua", "agentID": "1", "agentName": "Ann <&>", "groupIds": []string{"55"}, "queueIds": []string{"q1"},
				"clientType": "Web", "sipStatus": "online", "micPermission": true,
			},
			{"agentUUID": "ub", "agentID": "2", "agentName": "Bob", "groupIds": []string{"55", "66"}, "phoneType": 4},
			{"agentUUID": "uc", "agentName": "Cid", "groupIds": []string{"66"}, "phoneType": 5, "clientType": "IOS"},
			{"agentUUID": "ud", "agentID": "4", "agentName": "Dot"},
		},
	})
	status := func(seconds int, agent string, login, reason, work int, more string) string {
		return fact(seconds, "agent.status",
			fmt.Sprintf(`"agentUUID": %q, "startTime": %%d, "loginStatus": %d, "notReadyStatus": %d, "workStatus": %d%s`, agent,
				login, reason, work, more))
	}
	send(
		t, h,
		// Ann: a call that was answered and is over, after-call work, and one that goes on.
		status(7200, "ua", 1, 0, 1, ""), status(3000, "ua", 1, 0, 4, ""), status(2900, "ua", 1, 0, 1, ""), status(100, "ua",
			1, 0, 7, `, "callID": "live"`),
		fact(3600, "cdr.call",
			`"callID": "over", "callType": 2, "startTime": %d, "gatewayNumber": "4001", "firstCallAgentUUID": "ua"`),
		fact(3590, "cdr.party",
			`"callID": "over", "partyId": "p", "agentUUID": "ua", "callResult": 3, "callType": 2, "startTime": %d, "duration": 125`),
		fact(130, "call.created",
			`"callID": "live", "creationTime": %d, "callType": "Outbound", "ANI": "4002", "DNIS": "13812345678", "mainDialType": "ClickToCallback"`),
		fact(120, "call.dialing",
			`"callID": "live", "partyID": "p", "agentUUID": "ua", "creationTime": %d, "callType": "Outbound", "partyRole": "Agent"`),
		fact(100, "call.established",
			`"callID": "live", "partyID": "p", "agentUUID": "ua", "creationTime": %d, "callType": "Outbound", "partyRole": "Agent"`),
		// Bob: two breaks, the second still on.
		status(7200, "ub", 1, 0, 1, ""), status(6000, "ub", 2, 13, 1, ""), status(5900, "ub", 1, 0, 1, ""),
		status(201, "ub", 2, 14, 1, ""),
		// Cid rings; Dot was here and went.
		status(50, "uc", 1, 0, 1, ""), status(20, "uc", 1, 0, 6, `, "callID": "rings", "callType": 2`),
		status(9000, "ud", 1, 0, 1, ""), status(8000, "ud", 0, 0, 0, ""),
		// Four calls wait, and a chat.
		fact(20, "queue.entered",
			`"contactId": "w1", "media": "call", "queueId": "q1", "enteredAt": %d, "callType": 2, "gatewayNumber": "4001", "campaignId": "c1"`),
		fact(30, "queue.entered",
			`"contactId": "w2", "media": "call", "queueId": "q1", "enteredAt": %d, "callType": 2, "gatewayNumber": "4001"`),
		fact(61, "queue.entered",
			`"contactId": "w3", "media": "call", "queueId": "q2", "enteredAt": %d, "callType": 3, "gatewayNumber": "4003", "agentUUID": "uc", "strategy": "Least Recent"`),
		fact(500, "queue.entered", `"contactId": "w4", "media": "call", "queueId": "q9", "enteredAt": %d, "callType": 1`),
		fact(500, "queue.entered", `"contactId": "chat", "media": "chat", "queueId": "q9", "enteredAt": %d`),
		fact(25, "call.ringing",
			`"callID": "rings", "partyID": "p", "agentUUID": "uc", "creationTime": %d, "callType": "Inbound", "ANI": "13912345678", "DNIS": "4001", "partyRole": "Agent"`),
	)
}

// data of an answer, which must be a success.
func data(t *testing.T, a hubtest.Answer) string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.Status)
	var out struct {
		Data json.RawMessage
		Code int
	}
	require.NoError(t, json.Unmarshal(a.Body, &out), "%s", a.Body)
	require.Equal(t, 200, out.Code, "%s", a.Body)
	return string(out.Data)
}

func TestFigures(t *testing.T) {
	eachStore(t, func(t *testing.T, h *hubtest.Hub) {
		centre(t, h)
		testQueueFigures(t, h)
		testAgentFigures(t, h)
	})
}

func testQueueFigures(t *testing.T, h *hubtest.Hub) {
	t.Helper()
	count := func(more string) string { return data(t, ask(h, queuePath, body(h.Owner, more), noon.UnixMilli())) }
	const agents = `"onB":1,"onC":1,"web":1,"agTc":4,`
	all := `{` + agents + `"size":4,"grp":["Sales","Support"],"ag":["Cid"],"st":["Ringing"],"str":{"Least Recent":25,"Round Robin":50},` +
		`"ctyp":{"Inbound":50,"Outbound":25},"campId":["c1"],"qDura":["0-30","61+"],"did":["4001","4003"]`
	require.Equal(t, all+`}`, count(""))
	// The figures: calls of today over, live, rings, w1 to w4 have no call event. Talk: 125 s and 100 s so far; after-call
	// work 100 s; breaks of 100 and 201 s.
	require.Equal(t, all+`,"TC":3,"AC":2,"WT":153,"AT":113,"AHT":163,"ABT":151}`,
		count(`"fields": ["ABT", "AHT", "AT", "WT", "AC", "TC", "TC"]`))
	require.Equal(t, all+`,"AC":2}`, count(`"fields": ["AC"]`))

	// A condition narrows what has its property.
	none := `"size":0,"grp":[],"ag":[],"st":[],"str":{},"ctyp":{},"campId":[],"qDura":[],"did":[]`
	sales := `"size":2,"grp":["Sales"],"ag":[],"st":[],"str":{"Round Robin":100},"ctyp":{"Inbound":100},"campId":["c1"],"qDura":["0-30"],"did":["4001"]`
	third := `"size":1,"grp":["Support"],"ag":["Cid"],"st":["Ringing"],"str":{"Least Recent":100},"ctyp":{"Outbound":100},"campId":[],"qDura":["61+"],"did":["4003"]`
	fourth := `"size":1,"grp":[],"ag":[],"st":[],"str":{},"ctyp":{},"campId":[],"qDura":["61+"],"did":[]`
	for filter, want := range map[string]string{
		`{"groupId": "55"}`: `{"onB":1,"onC":1,"web":1,"agTc":2,` + sales +
			`,"TC":2,"AC":1}`,
		`{"key": "grp", "value": [55]}`: `{"onB":1,"onC":1,"web":1,"agTc":2,` + sales +
			`,"TC":2,"AC":1}`,
		`{"field": "groupId", "operator": "ne", "value": "55"}`: `{"onB":0,"onC":0,"web":0,"agTc":2,"size":2,"grp":["Support"],"ag":["Cid"],"st":["Ringing"],"str":{"Least Recent":50},"ctyp":{"Outbound":50},"campId":[],"qDura":["61+"],"did":["4003"],"TC":1,"AC":1}`,
		`{"agentId": "uc"}`: `{"onB":0,"onC":0,"web":0,"agTc":1,` + third +
			`,"TC":1,"AC":1}`,
		`{"agentId": "1"}`: `{"onB":0,"onC":1,"web":1,"agTc":1,` + none +
			`,"TC":2,"AC":1}`,
		`{"queueId": "q1"}`: `{"onB":0,"onC":1,"web":1,"agTc":1,` + sales +
			`,"TC":2,"AC":1}`,
		`{"did": "4001"}`:         `{` + agents + sales + `,"TC":2,"AC":1}`,
		`{"did": "4002"}`:         `{` + agents + none + `,"TC":1,"AC":1}`,
		`{"ctype": "Inbound"}`:    `{` + agents + sales + `,"TC":2,"AC":1}`,
		`{"ctyp": "Internal"}`:    `{` + agents + fourth + `,"TC":0,"AC":0}`,
		`{"str": "Least Recent"}`: `{` + agents + third + `,"TC":3,"AC":2}`,
		`{"st": "Ringing"}`:       `{` + agents + third + `,"TC":3,"AC":2}`,
		`{"status": "Available"}`: `{` + agents + none + `,"TC":3,"AC":2}`,
		`{"field": "campId", "operator": "in", "value": ["c2", "c1"]}, {"did": "4001"}`: `{` + agents +
			`"size":1,"grp":["Sales"],"ag":[],"st":[],"str":{"Round Robin":100},"ctyp":{"Inbound":100},"campId":["c1"],"qDura":["0-30"],"did":["4001"],"TC":2,"AC":1}`,
		`{"field": "did", "operator": "gt", "value": "4001"}`: `{` + agents + third +
			`,"TC":1,"AC":1}`,
		`{"field": "did", "operator": "lte", "value": 4001}`: `{` + agents + sales +
			`,"TC":2,"AC":1}`,
	} {
		require.Equal(t, want, count(`"fields": ["TC", "AC"], "filter": [`+filter+`]`), filter)
	}

	// Break-downs.
	for more, want := range map[string]string{
		`"breakDown": "agentId"`: `[{"key":"1","TC":2},{"key":"uc","TC":1}]`,
		`"breakDown": "agentId", "disPlay": "agentId", "fields": ["TC", "AC", "WT", "AT", "AHT", "ABT"]`: `[{"key":"1","label":"Ann <&>","TC":2,"AC":1,"WT":0,"AT":113,"AHT":163,"ABT":0},` +
			`{"key":"2","label":"Bob","TC":0,"AC":0,"WT":0,"AT":0,"AHT":0,"ABT":151},{"key":"uc","label":"Cid","TC":1,"AC":1,"WT":61,"AT":0,"AHT":0,"ABT":0}]`,
		`"breakDown": "agentId", "extra": [{"includeInactive": "true"}]`:                             `[{"key":"1","TC":2},{"key":"2","TC":0},{"key":"4","TC":0},{"key":"uc","TC":1}]`,
		`"breakDown": "groupId", "disPlay": "groupId"`:                                               `[{"key":"55","label":"Sales","TC":2},{"key":"66","label":"Support","TC":1}]`,
		`"breakDown": "groupId", "extra": [{"key": "includeInactive", "value": "true"}]`:             `[{"key":"55","TC":2},{"key":"66","TC":1},{"key":"77","TC":0}]`,
		`"breakDown": "did", "disPlay": "date"`:                                                      `[{"key":"4001","label":"2024-11-29","TC":2},{"key":"4002","label":"2024-11-29","TC":1}]`,
		`"breakDown": "did", "fields": ["WT"]`:                                                       `[{"key":"4001","WT":25},{"key":"4003","WT":61}]`,
		`"breakDown": "campId", "fields": ["WT", "TC"]`:                                              `[{"key":"c1","TC":0,"WT":20}]`,
		`"breakDown": "ctype", "fields": ["TC", "AT"]`:                                               `[{"key":"Inbound","TC":2,"AT":125},{"key":"Outbound","TC":1,"AT":100}]`,
		`"breakDown": "agentId,ctype", "multi": true, "disPlay": "ctype", "filter": [{"grp": "55"}]`: `[{"key":"1|Inbound","label":"Inbound","TC":1},{"key":"1|Outbound","label":"Outbound","TC":1}]`,
		`"breakDown": "date"`:                 `[{"key":"2024-11-29","TC":3}]`,
		`"breakDown": "st", "fields": ["WT"]`: `[{"key":"Ringing","WT":61}]`,
		`"breakDown": "did", "fields": []`:    `[{"key":"4001","TC":2},{"key":"4002","TC":1}]`,
	} {
		got := count(more)
		i := strings.Index(got, `"breakDown":`)
		require.Positive(t, i, got)
		require.Equal(t, want, strings.TrimSuffix(got[i+len(`"breakDown":`):], "}"), more)
	}
	hours := func(more string) (rows []map[string]any) {
		got := count(more)
		i := strings.Index(got, `"series":`)
		require.Positive(t, i, got)
		require.NoError(t, json.Unmarshal([]byte(strings.TrimSuffix(got[i+len(`"series":`):], "}")), &rows))
		return rows
	}
	rows := hours(`"extra": [{"groupBy": "hourly"}]`)
	require.Len(t, rows, 13) // 00 to 12: the wall of the tenant
	require.Equal(t, map[string]any{"key": "11", "TC": 3.0}, rows[11])
	require.Equal(t, map[string]any{"key": "12", "TC": 0.0}, rows[12])
	// The day of another zone begins at another time: there it is 06:30.
	require.Len(t, hours(`"extra": [{"groupBy": "hourly", "timeZone": "UTC"}]`), 7)
	require.Equal(t, []map[string]any{{"key": "2024-11-29", "TC": 3.0}}, hours(`"extra": [{"groupBy": "daily"}]`))
	yesterday := data(t,
		ask(h, queuePath, body(h.Owner, `"fields": ["TC", "AC"], "extra": [{"timeZone": "UTC+14"}]`),
			noon.Add(4*time.Hour).UnixMilli()))
	require.Contains(t, yesterday, `"TC":0,"AC":2}`, "there it is the next day: two go on")
}

func testAgentFigures(t *testing.T, h *hubtest.Hub) {
	t.Helper()
	list := func(more string) (rows map[string]string, order []string, totals string) {
		a := ask(h, agentsPath, body(h.Owner, more), noon.UnixMilli())
		require.Equal(t, http.StatusOK, a.Status)
		var out struct {
			Message struct {
				PR []json.RawMessage
			}
			Code int
		}
		require.NoError(t, json.Unmarshal(a.Body, &out), "%s", a.Body)
		require.Equal(t, 200, out.Code, "%s", a.Body)
		rows = map[string]string{}
		for _, raw := range out.Message.PR {
			var id struct{ I string }
			require.NoError(t, json.Unmarshal(raw, &id))
			rows[id.I] = string(raw)
			order = append(order, id.I)
		}
		_, totals, _ = strings.Cut(string(a.Body), `],"oCA":`)
		return rows, order, `{"oCA":` + strings.TrimSuffix(totals, `,"status":"success","code":200}`)
	}
	at := func(seconds int64) string { return fmt.Sprint(noon.Unix() - seconds) }
	rows, order, totals := list("")
	require.Equal(t, []string{"4", "1", "2", "uc"}, order, "longest first")
	require.Equal(t, `{"oCA":1,"oBA":1,"lA":3,"Dia":0,"Ring":1,"sip":1,"mic":1}`, totals)
	require.Equal(t,
		`{"nm":"Ann <&>","I":"1","IsOcc":1,"l":{"type":"Web","duration":["2","00","00"]},"ml":"No","avT":["0","48","20"],"avD":`+at(2900)+`,"mic_perm":1,"sip_status":"online"}`,
		rows["1"])
	require.Equal(t,
		`{"nm":"Bob","I":"2","IsOcc":0,"l":{"type":"SIP","duration":["2","00","00"]},"ml":"No","avT":["0","03","21"],"avD":`+at(201)+`,"mic_perm":0,"sip_status":"offline"}`,
		rows["2"])
	require.Equal(t,
		`{"nm":"Cid","I":"uc","IsOcc":1,"l":{"type":"Mobile","duration":["0","00","50"]},"ml":"Yes","avT":["0","00","50"],"avD":`+at(50)+`,"mic_perm":0,"sip_status":"offline"}`,
		rows["uc"])
	require.Equal(t,
		`{"nm":"Dot","I":"4","IsOcc":0,"l":"No","ml":"No","avT":["2","13","20"],"avD":`+at(8000)+`,"mic_perm":0,"sip_status":"offline"}`,
		rows["4"])

	rows, _, _ = list(`"A": 1`)
	for id, want := range map[string]string{
		"1": `"tt":225,"tC":2,"ataT":["0","01","53"],"liC":{"callId":"live","type":"CTC","state":"Talking","cNumber":"13812345678","did":"4002","stime":` + at(120) + `,"duration":["0","02","00"]},"br":{}}`,
		"2": `"tt":0,"tC":0,"ataT":["0","00","00"],"liC":{},"br":{"type":"Dining","code":14,"stime":` + at(201) +
			`,"duration":["0","03","21"]}}`,
		"uc": `"tt":0,"tC":0,"ataT":["0","00","00"],"liC":{"callId":"rings","type":"IBD","state":"Ringing","cNumber":"13912345678","did":"4001","stime":` + at(25) + `,"duration":["0","00","25"]},"br":{}}`,
		"4":  `"tt":0,"tC":0,"ataT":["0","00","00"],"liC":{},"br":{}}`,
	} {
		_, got, _ := strings.Cut(rows[id], `"sip_status":`)
		_, got, _ = strings.Cut(got, ",")
		require.Equal(t, want, got, id)
	}

	of := func(more string) []string {
		_, order, _ := list(more)
		slices.Sort(order)
		return order
	}
	require.Equal(t, []string{"1", "2"}, of(`"groupid": " 55 "`))
	require.Equal(t, []string{"2", "uc"}, of(`"groupid": "66"`))
	require.Empty(t, of(`"groupid": "77"`))
	require.Equal(t, []string{"1", "2", "uc"}, of(`"status": "login"`))
	require.Equal(t, []string{"1"}, of(`"filter": [{"agentId": ["1", "uc"]}, {"key": "queueId", "value": "q1"}]`))
	require.Equal(t, []string{"4", "uc"}, of(`"filter": [{"field": "groupId", "operator": "ne", "value": "55"}]`))
	_, _, totals = list(`"groupid": "66"`)
	require.Equal(t, `{"oCA":0,"oBA":1,"lA":2,"Dia":0,"Ring":1,"sip":0,"mic":0}`, totals)
	refused(t, ask(h, agentsPath, body(h.Owner, `"groupid": "5"`), noon.UnixMilli()), 200, 1006, "GroupId does not exist")

	a := h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"settings": {"deepcall.defaultGroup": "66"}}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	require.Equal(t, []string{"2", "uc"}, of(""))
	require.Equal(t, []string{"1", "2"}, of(`"groupid": "55"`))
	a = h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"settings": {"deepcall.defaultGroup": "nowhere"}}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	require.Len(t, of(""), 4)
}

// st are the status types of the agents whom the waiting calls are for: to whom they are
// routed, and whose phones ring for them.
func TestStatusTypes(t *testing.T) {
	h := hubtest.Start(t, testClock)
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"timezone": "Asia/Kolkata"}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	list := func(more string) string {
		var d struct {
			Ag, St []string
			Size   int
		}
		require.NoError(t, json.Unmarshal([]byte(data(t, ask(h, queuePath, body(h.Owner, more), noon.UnixMilli()))), &d))
		return fmt.Sprint(d.Size, d.Ag, d.St)
	}
	status := func(agent string, login, reason, work int) string {
		return fact(100, "agent.status",
			fmt.Sprintf(`"agentUUID": %q, "agentName": "name of %s", "startTime": %%d, "loginStatus": %d, "notReadyStatus": %d, "workStatus": %d`,
				agent, agent, login, reason, work))
	}
	send(t, h, status("in", 1, 0, 1), status("out", 0, 0, 0))
	require.Equal(t, "0 [] []", list(""), "nobody waits")

	waits := func(id, agent string) string {
		return fact(50, "queue.entered",
			fmt.Sprintf(`"contactId": %q, "media": "call", "queueId": "q", "enteredAt": %%d, "agentUUID": %q`, id, agent))
	}
	send(t, h, waits("c0", ""))
	require.Equal(t, "1 [] []", list(""), "for no agent")
	send(
		t, h, status("hold", 1, 0, 8), status("talk", 1, 0, 7), status("dial", 2, 0, 5), status("wrap", 1, 0, 4),
		status("pause", 2, 11, 2), status("lock", 98, 0, 98),
		waits("c1", "out"), waits("c2", "hold"), waits("c3", "talk"), waits("c4", "dial"), waits("c5", "wrap"),
		waits("c6", "pause"), waits("c7", "lock"), waits("c8", "in"),
		// It waits for "in", and rings at one of whom only this is known.
		fact(10, "call.ringing",
			`"callID": "c8", "partyID": "p", "agentUUID": "rung", "agentName": "name of rung", "creationTime": %d, "partyRole": "Agent"`),
	)
	require.Equal(t, "9 [name of dial name of hold name of in name of lock name of out name of pause name of rung name of talk name of wrap] "+
		"[Available Ringing On Call On Hold After Call Work On Break Logged Out]", list(""))
	for filter, want := range map[string]string{
		`{"st": "On Call"}`:                      "2 [name of dial name of talk] [On Call]",
		`{"st": "Ringing"}`:                      "1 [name of in name of rung] [Available Ringing]",
		`{"status": ["On Break", "Logged Out"]}`: "3 [name of lock name of out name of pause] [On Break Logged Out]",
		`{"status": "Waiting"}`:                  "0 [] []",
	} {
		require.Equal(t, want, list(`"filter": [`+filter+`]`), filter)
	}
	got := data(t, ask(h, queuePath, body(h.Owner, `"breakDown": "status", "fields": ["WT"]`), noon.UnixMilli()))
	var d struct{ BreakDown []struct{ Key string } }
	require.NoError(t, json.Unmarshal([]byte(got), &d))
	require.Equal(t, "[{After Call Work} {Available} {Logged Out} {On Break} {On Call} {On Hold} {Ringing}]",
		fmt.Sprint(d.BreakDown))
}
