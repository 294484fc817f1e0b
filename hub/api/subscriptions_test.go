package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// The same POST again answers with the subscription that is there; one with
// other settings is refused, names it and changes nothing.
func TestSubscriptionNameThatExists(t *testing.T) {
	h := hubtest.Start(t)
	const first = `{"name":"crm","url":"https://crm.example/push","events":["cdr.*"],"appKey":"0123456789abcdef","headers":{"X-Key":"hush"}}`
	made := h.Do("POST", "/v1/subscriptions", h.Owner, first)
	require.Equal(t, 201, made.Status, "%s", made.Body)
	id := made.JSON(t)["id"].(string)

	for _, same := range []string{
		first,
		`{"name":"crm","url":"https://crm.example/push"}`,
		`{"name":"crm","url":"https://crm.example/push","events":["cdr.*"],"headers":{"x-key":"hush"}}`,
	} {
		again := h.Do("POST", "/v1/subscriptions", h.Owner, same)
		require.Equal(t, 200, again.Status, "%s: %s", same, again.Body)
		require.Equal(t, id, again.JSON(t)["id"])
		require.Equal(t, `"1"`, again.Header.Get("ETag"))
		require.NotContains(t, again.JSON(t), "appKey")
		require.NotContains(t, string(again.Body), "0123456789abcdef")
		require.NotContains(t, string(again.Body), "hush")
	}

	for other, field := range map[string]string{
		`{"name":"crm","url":"https://crm.example/other"}`:                                           "/url",
		`{"name":"crm","url":"https://crm.example/push","events":["*"]}`:                             "/events",
		`{"name":"crm","url":"https://crm.example/push","appKey":"fedcba9876543210"}`:                "/appKey",
		`{"name":"crm","url":"https://crm.example/push","headers":{"X-Key":"other"}}`:                "/headers",
		`{"name":"crm","url":"https://crm.example/push","masking":"drop"}`:                           "/masking",
		`{"name":"crm","url":"https://crm.example/push","filter":{"agentIDs":["1"]},"masking":null}`: "/filter",
	} {
		refusal := h.Do("POST", "/v1/subscriptions", h.Owner, other)
		require.Equal(t, 409, refusal.Status, "%s: %s", other, refusal.Body)
		problem := refusal.JSON(t)
		require.Contains(t, problem["detail"], id)
		require.Equal(t, []any{
			map[string]any{"field": "id", "message": id},
			map[string]any{"field": field, "message": "is not that of the subscription with this name"},
		}, problem["errors"])
		require.NotContains(t, string(refusal.Body), "hush")
	}
	require.Equal(t, 1.0, get(t, h, h.Owner, "/v1/subscriptions/"+id)["version"])
	require.Len(t, list(t, h, h.Owner, "/v1/subscriptions", 50), 1)
}

// A PATCH to a name that is taken names the subscription that has it, as a POST does.
func TestSubscriptionRenamedToAnother(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		crm := h.Subscribe("https://crm.example/push", "name", "crm")["id"].(string)
		other := h.Subscribe("https://other.example/push", "name", "other")["id"].(string)

		refusal := h.Do("PATCH", "/v1/subscriptions/"+other, h.Owner, `{"name":"crm"}`)
		require.Equal(t, 409, refusal.Status, "%s", refusal.Body)
		require.Contains(t, refusal.JSON(t)["detail"], crm)
		require.Equal(t, []any{
			map[string]any{"field": "id", "message": crm},
			map[string]any{"field": "name", "message": "is that of another subscription"},
		}, refusal.JSON(t)["errors"])
		require.Equal(t, "other", get(t, h, h.Owner, "/v1/subscriptions/"+other)["name"])

		// Its own name is free to it, and that of a deleted one to all.
		require.Equal(t, 200, h.Do("PATCH", "/v1/subscriptions/"+other, h.Owner, `{"name":"other","timeoutMs":2000}`).Status)
		require.Equal(t, 204, h.Do("DELETE", "/v1/subscriptions/"+crm, h.Owner, nil).Status)
		require.Equal(t, 200, h.Do("PATCH", "/v1/subscriptions/"+other, h.Owner, `{"name":"crm"}`).Status)
	})
}
