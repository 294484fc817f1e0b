package event

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// A status is pushed with msgType and creationTime, whatever its sender left out. All
// other bytes are the sender's.
func TestPushedStatus(t *testing.T) {
	const at = 1637068256419
	const both = `"msgType":"agent_working_status_changed_successfully","creationTime":1637068256419`
	for body, want := range map[string]string{
		`{"agentUUID":"u","startTime":5}`:                    `{` + both + `,"agentUUID":"u","startTime":5}`,
		`{}`:                                                 `{` + both + `}`,
		` { "startTime" : 5.0 } `:                            `{` + both + `, "startTime" : 5.0 } `,
		`{"creationTime":7,"msgType":"x"}`:                   `{"creationTime":7,"msgType":"x"}`,
		`{"creationTime":7}`:                                 `{"msgType":"agent_working_status_changed_successfully","creationTime":7}`,
		`{"msgType":"x"}`:                                    `{"creationTime":1637068256419,"msgType":"x"}`,
		`{"creationTime":null}`:                              `{` + both + `}`,
		`{"a":1,"creationTime":null,"b":2}`:                  `{` + both + `,"a":1,"b":2}`,
		`{"creationTime":0,"msgType":"","b":2}`:              `{` + both + `,"b":2}`,
		`{"a":{"creationTime":null},"msgType":null}`:         `{` + both + `,"a":{"creationTime":null}}`,
		`{"b":2,"creation\u0054ime":"","creationTime":null}`: `{` + both + `,"b":2}`,
	} {
		e := &Event{Type: AgentStatus, OccurredAt: at, Body: []byte(body), Completed: true}
		got := string(e.Pushed(Unmasked))
		require.Equal(t, want, got, body)
		require.True(t, json.Valid([]byte(got)), got)
		require.Equal(t, body, string(e.Body), "the stored body stays")
		e.Completed = false
		require.Equal(t, body, string(e.Pushed(Unmasked)), "an event of an older hub is pushed as it was")
	}
	other := &Event{Type: CDRCall, OccurredAt: at, Body: []byte(`{"callID":"c"}`), Completed: true}
	require.JSONEq(t, `{"callID":"c"}`, string(other.Pushed(Unmasked)))

	gate := Gate{CompanyID: "acme"}
	e, problem := gate.Bare(AgentStatus, []byte(`{"agentUUID":"u","startTime":1637068256000}`))
	require.Nil(t, problem)
	require.JSONEq(t, `{"messageID":"AgentHistoryLogES","companyId":"acme","agentUUID":"u","startTime":1637068256000,
		"msgType":"agent_working_status_changed_successfully","creationTime":1637068256000}`, string(e.Pushed(Partial)))
	require.NotContains(t, string(e.Body), "creationTime", "where two statuses tie, it counts as 0")
}

// Whatever a status is, its push is JSON and has both.
func FuzzPushedStatus(f *testing.F) {
	for _, body := range []string{
		`{"startTime":1,"agentID":"1"}`, `{ "creationTime" : null , "msgType":"" }`,
		`{"msgTyp\u0065":null,"msgType":null,"a":[1,{}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, problem := Gate{CompanyID: "acme"}.Bare(AgentStatus, body)
		if problem != nil {
			return
		}
		got := e.Pushed(Unmasked)
		var m map[string]any
		require.NoError(t, json.Unmarshal(got, &m), "%s", got)
		require.NotEmpty(t, m["msgType"], "%s", got)
		require.NotNil(t, m["creationTime"], "%s", got)
	})
}
