package deepcall_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// A row of a break-down has the figures that a filter on its key gives, in any
// state of a contact centre.
func TestBreakDownEqualsFilter(t *testing.T) {
	h := hubtest.Start(t, testClock)
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		put(t, h, randomDirectory(rnd))
		var events []string
		for range 60 {
			events = append(events, randomFact(rnd, seed))
		}
		send(t, h, events...)
		compare := func(breakDown, fields string, condition func(key string) string) {
			t.Helper()
			var rows []map[string]any
			out := figuresOf(t, h,
				fmt.Sprintf(`"breakDown": %q, "multi": true, "fields": [%s], "extra": [{"includeInactive": "true"}]`, breakDown,
					fields))
			require.NoError(t, json.Unmarshal(out["breakDown"], &rows))
			require.NotEmpty(t, rows, breakDown)
			for _, row := range rows {
				key := row["key"].(string)
				alone := figuresOf(t, h, fmt.Sprintf(`"fields": [%s], "filter": [%s]`, fields, condition(key)))
				for name, value := range row {
					if name != "key" {
						require.Equal(t, fmt.Sprint(value), string(alone[name]), "seed %d, %s of %s %q", seed, name, breakDown, key)
					}
				}
			}
		}
		is := func(property string) func(string) string {
			return func(key string) string { return fmt.Sprintf(`{%q: %q}`, property, key) }
		}
		all := `"TC", "AC", "WT", "AT", "AHT", "ABT"`
		compare("agentId", all, is("agentId"))
		compare("groupId", all, is("groupId"))
		// Agents have neither, so that nothing of theirs is narrowed, or in a row.
		compare("did", `"TC", "AC", "WT", "AT"`, is("did"))
		compare("ctype", `"TC", "AC", "WT", "AT"`, is("ctype"))
		compare("campId", `"WT"`, is("campId"))
		compare("did,ctype", `"WT"`, func(key string) string {
			did, ctype := key[:4], key[5:]
			return is("did")(did) + ", " + is("ctype")(ctype)
		})
	}
}

func figuresOf(t *testing.T, h *hubtest.Hub, more string) map[string]json.RawMessage {
	t.Helper()
	out := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal([]byte(data(t, ask(h, queuePath, body(h.Owner, more), noon.UnixMilli()))), &out))
	return out
}

func randomDirectory(rnd *rand.Rand) object {
	var agents []object
	for i := range 6 {
		var groups []string
		for g := range 3 {
			if rnd.IntN(2) == 0 {
				groups = append(groups, fmt.Sprintf("g%d", g))
			}
		}
		agents = append(agents, object{"agentUUID": fmt.Sprintf("u%d", i), "agentID": fmt.Sprint(i), "groupIds": groups})
	}
	return object{"agents": agents}
}

// randomFact is an event of the last hour before noon.
func randomFact(rnd *rand.Rand, seed uint64) string {
	agent, call, did := fmt.Sprintf("u%d", rnd.IntN(7)), fmt.Sprintf("c%d-%d", seed, rnd.IntN(8)),
		fmt.Sprintf("400%d", rnd.IntN(3))
	at := rnd.IntN(3600)
	switch rnd.IntN(5) {
	case 0:
		return fact(at, "agent.status",
			fmt.Sprintf(`"agentUUID": %q, "startTime": %%d, "loginStatus": %d, "notReadyStatus": %d, "workStatus": %d`, agent,
				rnd.IntN(3), 10+rnd.IntN(4), []int{1, 4, 7}[rnd.IntN(3)]))
	case 1:
		return fact(at, "call.established",
			fmt.Sprintf(`"callID": %q, "partyID": "p%d", "agentUUID": %q, "creationTime": %%d, "callType": "Inbound", "DNIS": %q`,
				call, rnd.IntN(2), agent, did))
	case 2:
		return fact(at, "cdr.party",
			fmt.Sprintf(`"callID": %q, "partyId": "p%d", "agentUUID": %q, "callResult": 3, "callType": %d, "startTime": %%d, "duration": %d`,
				call, rnd.IntN(2), agent, 1+rnd.IntN(3), rnd.IntN(500)))
	case 3:
		return fact(at, "cdr.call",
			fmt.Sprintf(`"callID": %q, "callType": %d, "startTime": %%d, "gatewayNumber": %q, "firstCallAgentUUID": %q`, call,
				1+rnd.IntN(3), did, agent))
	default:
		return fact(at, "queue.entered",
			fmt.Sprintf(`"contactId": "w%d-%d", "media": "call", "queueId": "q", "groupId": "g%d", "enteredAt": %%d, "callType": %d, "gatewayNumber": %q, "campaignId": "k%d", "agentUUID": %q`,
				seed, rnd.IntN(20), rnd.IntN(4), 1+rnd.IntN(3), did, rnd.IntN(2), agent))
	}
}
