package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

func TestKeyLife(t *testing.T) {
	o := newOffice(t)
	acme := o.tenant("acme")

	made := o.want(201, platform, "POST", "/v1/tenants/acme/keys", `{"role":"owner","name":"ci"}`)
	text, id := made["key"].(string), made["id"].(string)
	company, ok := access.ParseKey(text)
	require.True(t, ok)
	require.Equal(t, "acme", company)
	require.Equal(t, "owner", made["role"])

	c, err := o.book.Lookup(text, o.now)
	require.NoError(t, err, "it holds at once")
	require.Equal(t, access.Caller{Tenant: acme.Tenant, CompanyID: "acme", KeyID: id, Name: "ci", Role: access.Owner}, c)

	// Listed without its secret; its last use after a flush.
	require.NoError(t, o.book.Flush(t.Context(), o.db))
	w := o.call(c, "GET", "/v1/tenants/acme/keys", "")
	require.Equal(t, 200, w.Code)
	require.NotContains(t, w.Body.String(), text)
	listed := o.want(200, c, "GET", "/v1/tenants/acme/keys", "")["data"].([]any)[0].(map[string]any)
	require.Equal(t, id, listed["id"])
	require.Equal(t, "root", listed["createdBy"])
	require.Equal(t, o.now.UTC().Format("2006-01-02T15:04:05.000Z"), listed["lastUsedAt"])

	// A restart knows it by its hash.
	tenants, keys, err := o.db.LoadAccess(t.Context())
	require.NoError(t, err)
	again := &access.Book{}
	again.Replace(tenants, keys)
	got, err := again.Lookup(text, o.now)
	require.NoError(t, err)
	require.Equal(t, c, got)

	// Revoked: refused at once, listed for good, gone after a restart. Twice is no error.
	o.want(204, acme, "DELETE", "/v1/tenants/acme/keys/"+id, "")
	_, err = o.book.Lookup(text, o.now)
	require.ErrorIs(t, err, access.ErrCredential)
	first := o.want(200, acme, "GET", "/v1/tenants/acme/keys", "")["data"].([]any)[0].(map[string]any)["revokedAt"]
	require.NotEmpty(t, first)
	o.now = o.now.Add(time.Hour)
	o.want(204, acme, "DELETE", "/v1/tenants/acme/keys/"+id, "")
	require.Equal(t, first,
		o.want(200, acme, "GET", "/v1/tenants/acme/keys", "")["data"].([]any)[0].(map[string]any)["revokedAt"])
	_, keys, err = o.db.LoadAccess(t.Context())
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestKeyExpires(t *testing.T) {
	o := newOffice(t)
	acme := o.tenant("acme")
	at := o.now.Add(time.Minute).Truncate(time.Millisecond)
	for _, expires := range []string{fmt.Sprint(at.UnixMilli()), `"` + at.Format(time.RFC3339Nano) + `"`} {
		text := o.want(201, acme, "POST", "/v1/tenants/acme/keys",
			`{"role":"auditor","pii":true,"expiresAt":`+expires+`}`)["key"].(string)
		c, err := o.book.Lookup(text, at.Add(-1))
		require.NoError(t, err)
		require.True(t, c.PII)
		_, err = o.book.Lookup(text, at)
		require.ErrorIs(t, err, access.ErrCredential)
	}
}

func TestKeysRefused(t *testing.T) {
	o := newOffice(t)
	acme, other := o.tenant("acme"), o.tenant("other")

	for name, tt := range map[string]struct {
		as     access.Caller
		id     string
		body   string
		status int
		fields []string
	}{
		"no role":                        {acme, "acme", `{}`, 422, []string{"role"}},
		"unknown role":                   {acme, "acme", `{"role":"admin"}`, 422, []string{"role"}},
		"owner makes a platform key":     {acme, "acme", `{"role":"platform"}`, 422, []string{"role"}},
		"platform makes one in a tenant": {platform, "acme", `{"role":"platform"}`, 422, []string{"role"}},
		"platform makes an owner of its": {platform, "platform", `{"role":"owner"}`, 422, []string{"role"}},
		"owner asks for the platform's":  {acme, "platform", `{"role":"platform"}`, 404, nil},
		"of another tenant":              {other, "acme", `{"role":"owner"}`, 404, nil},
		"of no tenant":                   {platform, "nobody", `{"role":"owner"}`, 404, nil},
		"expired already": {
			acme, "acme", fmt.Sprintf(`{"role":"owner","expiresAt":%d}`, o.now.UnixMilli()), 422, []string{"expiresAt"},
		},
		"expires in seconds": {
			acme, "acme", fmt.Sprintf(`{"role":"owner","expiresAt":%d}`, o.now.Unix()), 400, []string{"expiresAt"},
		},
		"expires some day": {
			acme, "acme", `{"role":"owner","expiresAt":"tomorrow"}`, 400, []string{"expiresAt"},
		},
		"pii of one that is no auditor": {acme, "acme", `{"role":"ingest","pii":true}`, 422, []string{"pii"}},
		"control character in the name": {acme, "acme", `{"role":"owner","name":"a\nb"}`, 422, []string{"name"}},
		"a key of its own choice":       {acme, "acme", `{"role":"owner","key":"hk_acme_0"}`, 422, []string{"key"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.fields, fields(o.want(tt.status, tt.as, "POST", "/v1/tenants/"+tt.id+"/keys", tt.body)))
		})
	}

	require.Empty(t, o.want(200, acme, "GET", "/v1/tenants/acme/keys", "")["data"], "no refused request left anything behind")
	require.Empty(t, o.want(200, platform, "GET", "/v1/tenants/platform/keys", "")["data"])
	o.want(404, other, "GET", "/v1/tenants/acme/keys", "")
}

func TestKeysOfAnotherTenantStay(t *testing.T) {
	o := newOffice(t)
	acme, other := o.tenant("acme"), o.tenant("other")
	made := o.want(201, acme, "POST", "/v1/tenants/acme/keys", `{"role":"ingest"}`)
	id := made["id"].(string)
	o.want(404, other, "DELETE", "/v1/tenants/other/keys/"+id, "")
	o.want(404, other, "DELETE", "/v1/tenants/acme/keys/"+id, "")
	o.want(404, acme, "DELETE", "/v1/tenants/acme/keys/nothing", "")
	_, err := o.book.Lookup(made["key"].(string), o.now)
	require.NoError(t, err)
	require.Empty(t, o.want(200, other, "GET", "/v1/tenants/other/keys", "")["data"])
}

func TestKeyLimitCountsLiveKeys(t *testing.T) {
	o := newOffice(t)
	acme := o.tenant("acme")
	o.want(200, platform, "PATCH", "/v1/tenants/acme", `{"limits":{"keys":2}}`)
	first := o.want(201, acme, "POST", "/v1/tenants/acme/keys", `{"role":"ingest"}`)["id"].(string)
	o.want(201, acme, "POST", "/v1/tenants/acme/keys",
		fmt.Sprintf(`{"role":"ingest","expiresAt":%d}`, o.now.Add(time.Minute).UnixMilli()))
	o.want(429, acme, "POST", "/v1/tenants/acme/keys", `{"role":"ingest"}`)
	o.want(204, acme, "DELETE", "/v1/tenants/acme/keys/"+first, "")
	o.want(201, acme, "POST", "/v1/tenants/acme/keys", `{"role":"ingest"}`)
	o.want(429, acme, "POST", "/v1/tenants/acme/keys", `{"role":"ingest"}`)
	o.now = o.now.Add(time.Minute)
	o.want(201, acme, "POST", "/v1/tenants/acme/keys", `{"role":"ingest"}`)
}

// The platform can change its own keys without locking itself out.
func TestPlatformKeys(t *testing.T) {
	o := newOffice(t)
	made := o.want(201, platform, "POST", "/v1/tenants/platform/keys", `{"role":"platform","name":"ops"}`)
	company, _ := access.ParseKey(made["key"].(string))
	require.Equal(t, access.PlatformID, company)
	require.NotContains(t, made, "companyId")
	path := "/v1/tenants/platform/keys/"
	o.want(201, platform, "POST", path[:len(path)-1],
		fmt.Sprintf(`{"role":"platform","expiresAt":%d}`, o.now.Add(time.Minute).UnixMilli()))
	o.want(409, platform, "DELETE", path+made["id"].(string), "")
	o.want(201, platform, "POST", path[:len(path)-1], `{"role":"platform"}`)
	o.want(204, platform, "DELETE", path+made["id"].(string), "")
	_, err := o.book.Lookup(made["key"].(string), o.now)
	require.ErrorIs(t, err, access.ErrCredential)
	require.Len(t, o.want(200, platform, "GET", path[:len(path)-1], "")["data"], 3)
}

func TestKeyPages(t *testing.T) {
	o := newOffice(t)
	acme := o.tenant("acme")
	for i := range 5 {
		o.want(201, acme, "POST", "/v1/tenants/acme/keys", fmt.Sprintf(`{"role":"ingest","name":"k%d"}`, i))
	}
	var names []string
	cursor := ""
	for {
		got := o.want(200, acme, "GET", "/v1/tenants/acme/keys?limit=2"+cursor, "")
		for _, d := range got["data"].([]any) {
			names = append(names, d.(map[string]any)["name"].(string))
		}
		next, more := got["nextCursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	require.Equal(t, []string{"k4", "k3", "k2", "k1", "k0"}, names)
	first := o.want(200, acme, "GET", "/v1/tenants/acme/keys?limit=2", "")["nextCursor"].(string)
	o.tenant("other")
	o.want(400, platform, "GET", "/v1/tenants/other/keys?cursor="+first, "")
	o.want(400, acme, "GET", "/v1/tenants/acme/keys?colour=red", "")
}
