package hub_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// otherTenant makes one and gives its owner's key.
func otherTenant(t *testing.T, h *hubtest.Hub) string {
	t.Helper()
	require.Equal(t, 201, h.Do("POST", "/v1/tenants", hubtest.PlatformKey, `{"companyId":"other"}`).Status)
	a := h.Do("POST", "/v1/tenants/other/keys", hubtest.PlatformKey, `{"role":"owner"}`)
	require.Equal(t, 201, a.Status)
	return a.JSON(t)["key"].(string)
}

// put puts something into the directory, and returns the answer.
func put(t *testing.T, h *hubtest.Hub, key, path, body string) map[string]any {
	t.Helper()
	a := h.Do("PUT", path, key, body)
	require.Equal(t, 200, a.Status, "%s", a.Body)
	return a.JSON(t)
}

func TestDirectoryLife(t *testing.T) {
	h := hubtest.Start(t)
	other := otherTenant(t, h)

	// An object is replaced as a whole: fields that are left out get their defaults.
	full := put(t, h, h.Owner, "/v1/directory/agents/u-1", `{"agentID":"1001","agentName":" Ann ",
		"departmentIds":["d-1","d-1"],"maxConcurrentChats":-1,"clientType":"Web","micPermission":true}`)
	require.Equal(t, " Ann ", full["agentName"], "names are kept as they come")
	require.Equal(t, []any{"d-1"}, full["departmentIds"])
	require.Equal(t, full, h.Do("GET", "/v1/directory/agents/u-1", h.Owner, nil).JSON(t))
	bare := put(t, h, h.Owner, "/v1/directory/agents/u-1", `{"agentUUID":"u-1","agentName":null}`)
	require.JSONEq(t, `{"agentUUID":"u-1","agentID":"","agentName":"","email":"","departmentIds":[],"groupIds":[],
		"queueIds":[],"maxConcurrentChats":1,"phoneType":0,"thisDN":"","clientType":"Unknown","micPermission":false,"sipStatus":"offline","chatAgentId":""}`, marshal(t, bare))
	require.JSONEq(t, `{"departmentId":"d-1","name":"","description":"","guid":"","siteId":0,
		"isAvailableInLiveChat":true,"isAvailableInTicketingAndMessaging":true}`,
		marshal(t, put(t, h, h.Owner, "/v1/directory/departments/d-1", `{}`)))
	require.JSONEq(t, `{"groupId":"g-1","name":""}`, marshal(t, put(t, h, h.Owner, "/v1/directory/groups/g-1", `{}`)))
	require.JSONEq(t, `{"queueId":"q 1","name":"","media":"","departmentId":"","groupId":"","strategy":""}`,
		marshal(t, put(t, h, h.Owner, "/v1/directory/queues/"+url.PathEscape("q 1"), `{}`)))

	// Many objects at once. Others stay as they are.
	count := put(t, h, h.Owner, "/v1/directory", `{"agents":[{"agentUUID":"u-2"},{"agentUUID":"u-3","agentName":"Cy"}],
		"queues":[{"queueId":"q-2","media":"chat"}]}`)
	require.JSONEq(t, `{"agents":2,"departments":0,"groups":0,"queues":1}`, marshal(t, count))
	count = put(t, h, h.Owner, "/v1/directory", `{}`)
	require.JSONEq(t, `{"agents":0,"departments":0,"groups":0,"queues":0}`, marshal(t, count))
	require.Equal(t, []string{"u-1", "u-2", "u-3"}, keysOf(t, h, h.Owner, "agents", "agentUUID"))
	require.Equal(t, []string{"q 1", "q-2"}, keysOf(t, h, h.Owner, "queues", "queueId"))

	// The other tenant has its own.
	require.Equal(t, 404, h.Do("GET", "/v1/directory/agents/u-1", other, nil).Status)
	require.Equal(t, 404, h.Do("DELETE", "/v1/directory/agents/u-1", other, nil).Status)
	put(t, h, other, "/v1/directory/agents/u-1", `{"agentName":"Theirs"}`)
	require.Equal(t, bare, h.Do("GET", "/v1/directory/agents/u-1", h.Owner, nil).JSON(t))
	require.Equal(t, []string{"u-1"}, keysOf(t, h, other, "agents", "agentUUID"))

	// Deleted, and made again.
	require.Equal(t, 204, h.Do("DELETE", "/v1/directory/agents/u-2", h.Owner, nil).Status)
	require.Equal(t, 404, h.Do("DELETE", "/v1/directory/agents/u-2", h.Owner, nil).Status)
	require.Equal(t, 404, h.Do("GET", "/v1/directory/agents/u-2", h.Owner, nil).Status)
	put(t, h, h.Owner, "/v1/directory/agents/u-2", `{"agentName":"back"}`)
	require.Equal(t, 204, h.Do("DELETE", "/v1/directory/agents/u-3", h.Owner, nil).Status)
	h.Restart()
	require.Equal(t, []string{"u-1", "u-2"}, keysOf(t, h, h.Owner, "agents", "agentUUID"))

	// Every change is in the audit log.
	var deeds []string
	for _, row := range h.Do("GET", "/v1/audit?limit=500", h.Owner, nil).JSON(t)["data"].([]any) {
		if r := row.(map[string]any); strings.HasPrefix(r["object"].(string), "directory") {
			deeds = append(deeds, r["action"].(string)+" "+r["object"].(string))
		}
	}
	require.Equal(t, []string{
		"directory.delete directory/agents/u-3", "directory.put directory/agents/u-2",
		"directory.delete directory/agents/u-2", "directory.put directory",
		"directory.put directory/queues/q 1", "directory.put directory/groups/g-1", "directory.put directory/departments/d-1",
		"directory.put directory/agents/u-1", "directory.put directory/agents/u-1",
	}, deeds)
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// keysOf returns the keys of all objects of a kind, which it reads page by page.
func keysOf(t *testing.T, h *hubtest.Hub, key, kind, field string) (keys []string) {
	t.Helper()
	for cursor := ""; ; {
		a := h.Do("GET", "/v1/directory/"+kind+"?limit=2"+cursor, key, nil)
		require.Equal(t, 200, a.Status, "%s", a.Body)
		page := a.JSON(t)
		for _, o := range page["data"].([]any) {
			keys = append(keys, o.(map[string]any)[field].(string))
		}
		next, more := page["nextCursor"].(string)
		if !more {
			return keys
		}
		cursor = "&cursor=" + next
	}
}

func TestDirectoryBadInput(t *testing.T) {
	h := hubtest.Start(t)
	for _, tt := range []struct {
		path, body string
		status     int
		field      string
	}{
		{"/v1/directory/agents/u", `{"agentUUID":"v"}`, 422, "agentUUID"},
		{"/v1/directory/agents/u", `{"agentuuid":"u"}`, 422, "agentuuid"},
		{"/v1/directory/agents/u", `{"colour":1}`, 422, "colour"},
		{"/v1/directory/agents/u", `{"agentName":1}`, 422, "agentName"},
		{"/v1/directory/agents/u", `{"departmentIds":"d"}`, 422, "departmentIds"},
		{"/v1/directory/agents/u", `{"departmentIds":[1]}`, 422, "departmentIds"},
		{"/v1/directory/agents/u", `{"departmentIds":[""]}`, 422, "departmentIds[0]"},
		{"/v1/directory/agents/u", `{"maxConcurrentChats":1.5}`, 422, "maxConcurrentChats"},
		{"/v1/directory/agents/u", `{"maxConcurrentChats":-2}`, 422, "maxConcurrentChats"},
		{"/v1/directory/agents/u", `{"clientType":"Fax"}`, 422, "clientType"},
		{"/v1/directory/agents/u", `{"agentName":"a","agentName":"b"}`, 400, "agentName"},
		{"/v1/directory/agents/u", `[]`, 422, ""},
		{"/v1/directory/agents/u", `{`, 400, ""},
		{"/v1/directory/agents/u", ``, 400, ""},
		{"/v1/directory/queues/q", `{"media":"fax"}`, 422, "media"},
		{"/v1/directory/departments/d", `{"siteId":"x"}`, 422, "siteId"},
		{"/v1/directory/groups/" + strings.Repeat("g", 257), `{}`, 422, "groupId"},
		{"/v1/directory/teams/u", `{}`, 404, ""},
		{"/v1/directory", `{"teams":[]}`, 422, "teams"},
		{"/v1/directory", `{"agents":{}}`, 422, "agents"},
		{"/v1/directory", `{"agents":[1]}`, 422, "agents[0]"},
		{"/v1/directory", `{"agents":[null]}`, 422, "agents[0]"},
		{"/v1/directory", `{"agents":[{"agentUUID":"u"},{}]}`, 422, "agents[1].agentUUID"},
		{"/v1/directory", `{"groups":[{"groupId":"g"},{"groupId":" g "}]}`, 422, "groups[1].groupId"},
		{"/v1/directory", `{"agents":[{"agentUUID":"u","x":1}]}`, 422, "agents[0].x"},
		{"/v1/directory", `{"groups":[` + manyGroups(10_001) + `]}`, 413, ""},
		{"/v1/directory", `{"groups":[],"groups":[]}`, 400, "groups"},
		{"/v1/directory", `{"groups":[` + manyGroups(1) + `]}{}`, 400, ""},
		{"/v1/directory", `{"groups":[` + manyGroups(1) + `}`, 400, ""},
		{"/v1/directory", `{"groups":"g"}`, 422, "groups"},
		{"/v1/directory", `{"agents":[{"agentUUID":"u","queueIds":[` + strings.Repeat(`"",`, 20_000) + `""]}]}`, 413, "agents[0]"},
		{"/v1/directory", `{"agents":[{"agentUUID":"` + strings.Repeat("x", 8<<20) + `"}]}`, 413, ""},
	} {
		a := h.Do("PUT", tt.path, h.Owner, tt.body)
		refused(t, tt.status, a)
		if tt.field != "" {
			require.Equal(t, tt.field, a.JSON(t)["errors"].([]any)[0].(map[string]any)["field"], "%.200s", tt.body)
		}
	}

	require.Equal(t, 415, h.Do("PUT", "/v1/directory/agents/u", h.Owner, "x", "Content-Type", "text/plain").Status)
	require.Equal(t, 404, h.Do("GET", "/v1/directory/teams", h.Owner, nil).Status)
	require.Equal(t, 400, h.Do("GET", "/v1/directory/agents?limit=0", h.Owner, nil).Status)
	require.Empty(t, keysOf(t, h, h.Owner, "agents", "agentUUID"), "a request that was refused changed nothing")
}

// manyGroups returns groups as JSON, with commas between them.
func manyGroups(n int) string {
	groups := make([]string, n)
	for i := range groups {
		groups[i] = fmt.Sprintf(`{"groupId":"g%d"}`, i)
	}
	return strings.Join(groups, ",")
}

// A filter by department finds the events of the department's agents as soon as the
// change of the directory was answered.
func TestDirectoryDepartmentsInFilters(t *testing.T) {
	h := hubtest.Start(t)
	sales := hubtest.NewReceiver(t)
	h.Subscribe(sales.URL, "filter", map[string]any{"departmentIds": []string{"sales"}})

	// send reports whether an event matched the filter.
	n := 0
	send := func(body string) bool {
		t.Helper()
		n++
		before := len(sales.Pushes())
		id := h.Send(fmt.Sprintf(`{"type":"agent.status","data":{"startTime":%d,%s}}`, 1637068256419+n, body))[0]
		matched := len(h.Do("GET", "/v1/events/"+id, h.Owner, nil).JSON(t)["deliveries"].([]any)) == 1
		if matched {
			sales.Wait(t, before+1)
		}
		return matched
	}

	require.False(t, send(`"agentUUID":"u-1"`))
	put(t, h, h.Owner, "/v1/directory/agents/u-1", `{"agentID":"1001","departmentIds":["support","sales"]}`)
	require.True(t, send(`"agentUUID":"u-1"`))
	require.True(t, send(`"agentID":"1001"`), "by its work number, if the event has only that")
	require.False(t, send(`"agentUUID":"u-2","agentID":"1001"`), "the agentUUID counts, if there is one")
	require.False(t, send(`"agentUUID":"u-1","departmentId":"support"`), "the event's own department counts more")

	h.Restart()
	require.True(t, send(`"agentUUID":"u-1"`))
	put(t, h, h.Owner, "/v1/directory", `{"agents":[{"agentUUID":"u-1"}]}`)
	require.False(t, send(`"agentUUID":"u-1"`))
	put(t, h, otherTenant(t, h), "/v1/directory/agents/u-1", `{"departmentIds":["sales"]}`)
	require.False(t, send(`"agentUUID":"u-1"`), "another tenant's directory")
}

// A change on one process applies on another.
func TestDirectoryOfTwoProcesses(t *testing.T) {
	t.Parallel()
	database := hubtest.Postgres(t)
	on := func(c *config.Config) {
		c.DatabaseURL = database
		c.MasterKey = strings.Repeat("0", 64)
	}
	one := hubtest.Start(t, on)
	sink := hubtest.NewReceiver(t)
	one.Subscribe(sink.URL, "filter", map[string]any{"departmentIds": []string{"sales"}})
	two := hubtest.Start(t, on)
	two.Owner = one.Owner
	put(t, one, one.Owner, "/v1/directory/agents/u-1", `{"departmentIds":["sales"]}`)
	n := 0
	hubtest.Eventually(t, "the other process matches with it", func() bool {
		n++
		id := two.Send(fmt.Sprintf(`{"type":"agent.status","data":{"startTime":%d,"agentUUID":"u-1"}}`, 1637068256419+n))[0]
		return len(two.Do("GET", "/v1/events/"+id, two.Owner, nil).JSON(t)["deliveries"].([]any)) == 1
	})
}
