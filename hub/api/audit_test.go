package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/operate"
)

// deeds of the log that a key may read, oldest first: "action object".
func deeds(t *testing.T, h *hubtest.Hub, key, query string) (all []string) {
	t.Helper()
	for _, row := range list(t, h, key, "/v1/audit?"+query, 3) {
		all = append([]string{row["action"].(string) + " " + row["object"].(string)}, all...)
	}
	return all
}

// What people and the hub itself do is in the log, by whom and from where;
// what they look at, if numbers are shown unmasked; and never a secret.
func TestAudit(t *testing.T) {
	var cfg *config.Config
	h := hubtest.Start(t, func(c *config.Config) { cfg = c })
	gone := hubtest.NewReceiver(t, http.StatusGone)
	sub := h.Subscribe(gone.URL+"/?token=hidden-in-query", "retry", quick, "appKey", "this-is-a-secret-key", "headers",
		map[string]string{"X-Token": "hidden-in-header"})["id"].(string)
	e := h.Send(hubtest.CDR("c1", 1))[0]
	hubtest.Eventually(t, "410 pauses it", func() bool {
		return get(t, h, h.Owner, "/v1/subscriptions/"+sub)["pausedReason"] == "gone"
	})
	hubtest.Eventually(t, "the attempt is recorded", func() bool { return deliveryOf(t, h, e)["lastStatus"] == 410.0 })
	views := len(deeds(t, h, h.Owner, "action=event.view"))
	require.Positive(t, views, "the owner looked")

	masked, pii := auditor(t, h, false), auditor(t, h, true)
	d := deliveryOf(t, h, e)["id"].(string)
	get(t, h, masked, "/v1/events/"+e)
	get(t, h, masked, "/v1/deliveries/"+d+"/attempts")
	get(t, h, masked, "/v1/deliveries")
	require.Empty(t, deeds(t, h, masked, "action=delivery.view"), "masked: nothing to note")
	get(t, h, pii, "/v1/deliveries/"+d+"/attempts?limit=1")
	require.Equal(t, []string{"delivery.view delivery/" + d}, deeds(t, h, masked, "action=delivery.view"),
		"a row a request, not a row an attempt")

	require.Equal(t, 202, h.Do("POST", "/v1/subscriptions/"+sub+"/test", h.Owner, nil).Status)
	require.Equal(t, 200, h.Do("POST", "/v1/subscriptions/"+sub+"/resume", h.Owner, nil).Status)
	require.Equal(t, 200, h.Do("POST", "/v1/subscriptions/"+sub+"/resume", h.Owner, nil).Status, "again: no deed")
	hubtest.Eventually(t, "delivered", func() bool { return deliveryOf(t, h, e)["state"] == "delivered" })
	require.Equal(t, 202, h.Do("POST", "/v1/deliveries/"+d+"/retry?force=true", h.Owner, nil).Status)
	require.Equal(t, 404, h.Do("POST", "/v1/subscriptions/no-such/pause", h.Owner, nil).Status)
	require.Equal(t, 204, h.Do("DELETE", "/v1/subscriptions/"+sub, h.Owner, nil).Status)

	var got []string
	for _, d := range deeds(t, h, masked, "") {
		if !strings.HasPrefix(d, "event.view ") {
			got = append(got, strings.Split(d, " ")[0])
		}
	}
	require.Equal(t, []string{
		"tenant.create", "key.create", "subscription.create", "subscription.pause", "key.create", "key.create",
		"delivery.view",
		"subscription.test", "subscription.resume", "delivery.retry", "subscription.delete",
	}, got)
	all := h.Do("GET", "/v1/audit?limit=500", masked, nil)
	for _, secret := range []string{"hidden-in-query", "hidden-in-header", "this-is-a-secret-key", h.Owner, masked, pii} {
		require.NotContains(t, string(all.Body), secret)
	}

	about := list(t, h, h.Owner, "/v1/audit?object=subscription/"+sub, 50)
	paused := about[len(about)-2]
	require.Equal(t, "hub", paused["who"])
	require.NotContains(t, paused, "ip")
	require.Equal(t, "active", paused["before"].(map[string]any)["state"])
	require.Equal(t, "gone", paused["after"].(map[string]any)["pausedReason"])
	made := about[len(about)-1]
	require.Equal(t, "127.0.0.1", made["ip"])
	require.Equal(t, "first start", made["name"])
	require.NotContains(t, made, "before")
	require.Equal(t, fmt.Sprint(gone.URL, "/?***"), made["after"].(map[string]any)["url"])
	require.Len(t, list(t, h, h.Owner, "/v1/audit?who="+made["who"].(string)+"&action=subscription.create", 50), 1)
	require.Empty(t, list(t, h, h.Owner, "/v1/audit?to="+made["at"].(string)+"&action=subscription.create", 50))
	require.Len(t, list(t, h, h.Owner, "/v1/audit?from="+made["at"].(string)+"&action=subscription.create", 50), 1)

	rows, err := operate.VerifyAudit(t.Context(), *cfg)
	require.NoError(t, err, "while the hub serves")
	require.Greater(t, rows, int64(len(got)))
}

// The platform reads what platform keys did, and nothing of what tenants do;
// a tenant reads what the platform did to it, and nothing of others.
func TestAuditOfPlatformAndTenants(t *testing.T) {
	h := hubtest.Start(t)
	h.Subscribe(hubtest.NewReceiver(t).URL)
	require.Equal(t, 201, h.Do("POST", "/v1/tenants", hubtest.PlatformKey, `{"companyId":"other"}`).Status)
	other := h.Do("POST", "/v1/tenants/other/keys", hubtest.PlatformKey, `{"role":"owner"}`).JSON(t)
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"keys":7}}`).Status)
	require.Equal(t, 201, h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"ingest"}`).Status)

	actions := func(key string) (all []string) {
		for _, d := range deeds(t, h, key, "") {
			action, object, _ := strings.Cut(d, " ")
			if strings.HasPrefix(object, "tenant/") {
				action += " " + object
			}
			all = append(all, action)
		}
		return all
	}
	require.Equal(t, []string{
		"key.create", "tenant.create tenant/demo", "key.create", "tenant.create tenant/other", "key.create",
		"tenant.update tenant/demo",
	}, actions(hubtest.PlatformKey))
	require.Equal(t,
		[]string{"tenant.create tenant/demo", "key.create", "subscription.create", "tenant.update tenant/demo", "key.create"},
		actions(h.Owner))
	require.Equal(t, []string{"tenant.create tenant/other", "key.create"}, actions(other["key"].(string)))
}

// Numbers of rows grow over all tenants, so only the platform sees them. A tenant's rows
// have ids that stay the same, and that nobody else has.
func TestAuditNumbersAreThePlatforms(t *testing.T) {
	h := hubtest.Start(t)
	seen := map[string]bool{}
	ids := func(key string, numbered bool) (all []string) {
		for _, row := range list(t, h, key, "/v1/audit", 1) {
			id := row["id"].(string)
			require.Regexp(t, "^au_[0-9A-Za-z_-]{40,}$", id)
			require.Equal(t, numbered, row["seq"] != nil)
			all = append(all, id)
		}
		return all
	}
	for key, numbered := range map[string]bool{h.Owner: false, hubtest.PlatformKey: true} {
		first := ids(key, numbered)
		require.NotEmpty(t, first)
		require.Equal(t, first, ids(key, numbered))
		for _, id := range first {
			require.False(t, seen[id], "twice: %s", id)
			seen[id] = true
		}
	}
}

func TestAuditBadInput(t *testing.T) {
	h := hubtest.Start(t)
	for query, field := range map[string]string{
		"from=yesterday": "from", "cursor=x": "cursor", "limit=0": "limit", "nonsense=1": "nonsense",
		"from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "from",
	} {
		a := h.Do("GET", "/v1/audit?"+query, h.Owner, nil)
		require.Equal(t, 400, a.Status, "%s", a.Body)
		require.Equal(t, field, a.JSON(t)["errors"].([]any)[0].(map[string]any)["field"])
	}
}
