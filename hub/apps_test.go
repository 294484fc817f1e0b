package hub_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

func TestAppLife(t *testing.T) {
	dir := t.TempDir()
	h := hubtest.Start(t, hubtest.InFolder(dir))
	other := otherTenant(t, h)
	made := h.Do("POST", "/v1/apps", h.Owner, `{"kind":"sobot","name":"crm"}`)
	require.Equal(t, 201, made.Status, "%s", made.Body)
	app := made.JSON(t)
	id, secret := app["appId"].(string), app["appSecret"].(string)
	require.Equal(t, id, app["id"])
	require.Len(t, secret, 64)
	require.Equal(t, "query", app["role"])
	require.Equal(t, 201, h.Do("POST", "/v1/apps", h.Owner, `{"kind":"oauth1"}`).Status)

	// The secret is in that answer and nowhere else.
	list := h.Do("GET", "/v1/apps", h.Owner, nil)
	require.Len(t, list.JSON(t)["data"].([]any), 2)
	require.NotContains(t, string(list.Body), secret)
	page := h.Do("GET", "/v1/apps?limit=1", h.Owner, nil).JSON(t)
	require.Equal(t, "oauth1", page["data"].([]any)[0].(map[string]any)["kind"])
	page = h.Do("GET", "/v1/apps?limit=1&cursor="+page["nextCursor"].(string), h.Owner, nil).JSON(t)
	require.Equal(t, id, page["data"].([]any)[0].(map[string]any)["id"])
	require.NotContains(t, page, "nextCursor")
	require.NotContains(t, string(h.Do("GET", "/v1/audit", h.Owner, nil).Body), secret)
	h.Restart()
	files, err := filepath.Glob(filepath.Join(dir, "hookline.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		require.False(t, bytes.Contains(raw, []byte(secret)), "%s holds the secret", f)
	}

	require.Empty(t, h.Do("GET", "/v1/apps", other, nil).JSON(t)["data"])
	require.Equal(t, 404, h.Do("DELETE", "/v1/apps/"+id, other, nil).Status)
	require.Equal(t, 204, h.Do("DELETE", "/v1/apps/"+id, h.Owner, nil).Status)
	require.Equal(t, 404, h.Do("DELETE", "/v1/apps/"+id, h.Owner, nil).Status)
	require.Len(t, h.Do("GET", "/v1/apps", h.Owner, nil).JSON(t)["data"].([]any), 1)
	audit := string(h.Do("GET", "/v1/audit?object=app/"+id, h.Owner, nil).Body)
	require.Contains(t, audit, "app.create")
	require.Contains(t, audit, "app.delete")
}

func TestAppBadInput(t *testing.T) {
	h := hubtest.Start(t)
	for body, field := range map[string]string{
		`{}`:                               "kind",
		`{"kind":"ldap"}`:                  "kind",
		`{"kind":1}`:                       "kind",
		`{"kind":"sobot","secret":"mine"}`: "secret",
		`{"kind":"sobot","name":"` + strings.Repeat("x", 201) + `"}`: "name",
		`{"kind":"sobot","name":"a\u0007"}`:                          "name",
	} {
		a := h.Do("POST", "/v1/apps", h.Owner, body)
		refused(t, 422, a)
		require.Equal(t, field, a.JSON(t)["errors"].([]any)[0].(map[string]any)["field"])
	}
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"keys":1}}`).Status)
	require.Equal(t, 201, h.Do("POST", "/v1/apps", h.Owner, `{"kind":"sobot"}`).Status)
	refused(t, 429, h.Do("POST", "/v1/apps", h.Owner, `{"kind":"sobot"}`))
}
