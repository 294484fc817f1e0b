package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

var platform = access.Caller{KeyID: "root", Role: access.Platform}

// office is the API over a real store, called as whoever a test says.
type office struct {
	t    *testing.T
	api  *api.API
	db   *storage.DB
	book *access.Book
	now  time.Time
}

func newOffice(t *testing.T) *office {
	t.Helper()
	key, _ := signing.NewMasterKey()
	box, err := signing.NewBox(key)
	require.NoError(t, err)
	db, err := storage.Open(t.Context(), storage.Config{Dir: t.TempDir(), Process: "test", Box: box})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	o := &office{t: t, db: db, book: &access.Book{}, now: time.Now()}
	o.api = &api.API{
		Tenants: db, Keys: db, Book: o.book,
		Cursors: api.Cursors{Key: box.Subkey(signing.LabelCursor)},
		Now:     func() time.Time { return o.now },
	}
	return o
}

// call makes a request as c; header is pairs of name and value.
func (o *office) call(c access.Caller, method, path, body string, header ...string) *httptest.ResponseRecorder {
	o.t.Helper()
	m := httprouter.New()
	as := func(h api.Handler) httprouter.Handle {
		return func(w http.ResponseWriter, r *http.Request, ps httprouter.Params) { o.api.Respond(h)(w, r, c, ps) }
	}
	m.POST("/v1/tenants", as(o.api.CreateTenant))
	m.GET("/v1/tenants", as(o.api.ListTenants))
	m.GET("/v1/tenants/:id", as(o.api.GetTenant))
	m.PATCH("/v1/tenants/:id", as(o.api.PatchTenant))
	m.POST("/v1/tenants/:id/keys", as(o.api.CreateKey))
	m.GET("/v1/tenants/:id/keys", as(o.api.ListKeys))
	m.DELETE("/v1/tenants/:id/keys/:keyId", as(o.api.RevokeKey))
	r := httptest.NewRequestWithContext(o.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

// want makes a call, checks its status and reads its answer.
func (o *office) want(status int, c access.Caller, method, path, body string, header ...string) map[string]any {
	o.t.Helper()
	w := o.call(c, method, path, body, header...)
	require.Equal(o.t, status, w.Code, "%s %s %s: %s", method, path, body, w.Body)
	if w.Body.Len() == 0 {
		return nil
	}
	var got map[string]any
	require.NoError(o.t, json.Unmarshal(w.Body.Bytes(), &got))
	return got
}

// fields that a problem names.
func fields(p map[string]any) []string {
	var names []string
	errs, _ := p["errors"].([]any)
	for _, e := range errs {
		names = append(names, e.(map[string]any)["field"].(string))
	}
	return names
}

func (o *office) tenant(id string) access.Caller {
	o.t.Helper()
	o.want(201, platform, "POST", "/v1/tenants", fmt.Sprintf(`{"companyId":%q}`, id))
	return access.Caller{Tenant: o.book.TenantOf(id).No, CompanyID: id, KeyID: id + "-owner", Role: access.Owner}
}

func TestTenantLife(t *testing.T) {
	o := newOffice(t)
	w := o.call(platform, "POST", "/v1/tenants", `{"companyId":"acme","name":"Acme"}`)
	require.Equal(t, 201, w.Code, w.Body)
	require.Equal(t, `"1"`, w.Header().Get("ETag"))
	require.Equal(t, "/v1/tenants/acme", w.Header().Get("Location"))

	got := o.want(200, platform, "GET", "/v1/tenants/acme", "")
	require.Equal(t, "Acme", got["name"])
	require.Equal(t, "Asia/Singapore", got["timezone"])
	require.Equal(t, map[string]any{}, got["settings"])
	require.Equal(t, []any{}, got["allowNetworks"])
	require.EqualValues(t, 1000, got["limits"].(map[string]any)["eventsPerSecond"])
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, got["createdAt"])

	// A merge patch: what it does not name stays, null goes back to the default.
	got = o.want(200, platform, "PATCH", "/v1/tenants/acme",
		`{"timezone":"Europe/Berlin","settings":{"payloadDays":7,"validation":"strict"},"limits":{"keys":3},"allowNetworks":["10.1.0.0/16","loopback"]}`)
	require.Equal(t, "Acme", got["name"])
	require.EqualValues(t, 2, got["version"])
	require.True(t, o.book.TenantOf("acme").Strict(), "the next request is judged by it")
	got = o.want(200, platform, "PATCH", "/v1/tenants/acme",
		`{"timezone":null,"settings":{"validation":null},"limits":{"keys":null,"exports":5}}`)
	require.Equal(t, "Asia/Singapore", got["timezone"])
	require.Equal(t, map[string]any{"payloadDays": 7.0}, got["settings"])
	require.EqualValues(t, 100, got["limits"].(map[string]any)["keys"])
	require.EqualValues(t, 5, got["limits"].(map[string]any)["exports"])
	require.Equal(t, []any{"10.1.0.0/16", "loopback"}, got["allowNetworks"])
	require.Equal(t, got, o.want(200, platform, "GET", "/v1/tenants/acme", ""), "the store has what the answer said")

	// Suspended and back.
	o.want(200, platform, "PATCH", "/v1/tenants/acme", `{"suspended":true}`)
	require.NotNil(t, o.book.TenantOf("acme").SuspendedAt)
	at := o.book.TenantOf("acme").SuspendedAt
	o.now = o.now.Add(time.Hour)
	o.want(200, platform, "PATCH", "/v1/tenants/acme", `{"name":"still"}`)
	require.Equal(t, at, o.book.TenantOf("acme").SuspendedAt)
	got = o.want(200, platform, "PATCH", "/v1/tenants/acme", `{"suspended":false}`)
	require.Nil(t, o.book.TenantOf("acme").SuspendedAt)
	require.NotContains(t, got, "suspendedAt")

	// A restart reads it all back.
	tenants, _, err := o.db.LoadAccess(t.Context())
	require.NoError(t, err)
	require.Len(t, tenants, 1)
	require.Equal(t, *o.book.TenantOf("acme"), tenants[0])
}

func TestTenantVersions(t *testing.T) {
	o := newOffice(t)
	o.tenant("acme")
	o.want(412, platform, "PATCH", "/v1/tenants/acme", `{"name":"x"}`, "If-Match", `"2"`)
	w := o.call(platform, "PATCH", "/v1/tenants/acme", `{"name":"x"}`, "If-Match", `"1"`)
	require.Equal(t, 200, w.Code)
	require.Equal(t, `"2"`, w.Header().Get("ETag"))
	o.want(412, platform, "PATCH", "/v1/tenants/acme", `{"name":"y"}`, "If-Match", `"1"`)
	require.Equal(t, []string{"If-Match"},
		fields(o.want(400, platform, "PATCH", "/v1/tenants/acme", `{"name":"y"}`, "If-Match", `"x"`)))
	require.Equal(t, "x", o.want(200, platform, "GET", "/v1/tenants/acme", "")["name"])
}

func TestTenantsRefused(t *testing.T) {
	o := newOffice(t)
	o.tenant("acme")

	for name, tt := range map[string]struct {
		body   string
		status int
		fields []string
	}{
		"no companyId":        {`{}`, 422, []string{"companyId"}},
		"underscore":          {`{"companyId":"a_b"}`, 422, []string{"companyId"}},
		"too long":            {`{"companyId":"` + strings.Repeat("x", 65) + `"}`, 422, []string{"companyId"}},
		"the platform's":      {`{"companyId":"Platform"}`, 422, []string{"companyId"}},
		"there already":       {`{"companyId":"acme"}`, 409, nil},
		"control character":   {`{"companyId":"b","name":"a\u0000b"}`, 422, []string{"name"}},
		"long name":           {`{"companyId":"b","name":"` + strings.Repeat("é", 201) + `"}`, 422, []string{"name"}},
		"unknown zone":        {`{"companyId":"b","timezone":"Asia/Singapura"}`, 422, []string{"timezone"}},
		"zone of the machine": {`{"companyId":"b","timezone":"Local"}`, 422, []string{"timezone"}},
		"its other name":      {`{"companyId":"b","timezone":"localtime"}`, 422, []string{"timezone"}},
		"with leap seconds":   {`{"companyId":"b","timezone":"right/Europe/Berlin"}`, 422, []string{"timezone"}},
		"zone is a path":      {`{"companyId":"b","timezone":"../../etc/passwd"}`, 422, []string{"timezone"}},
		"unknown setting":     {`{"companyId":"b","settings":{"payloadDay":3}}`, 422, []string{"settings.payloadDay"}},
		"settings of reports": {
			`{"companyId":"b","settings":{"xsSeconds":0.5,"reasonCodesA":[1.5],"reasonCodesB":{},"routeKinds":{"r":"bot"},"departments":[{"departName":"x"}],"agentDepartments":{"u":"d"}}}`,
			422,
			[]string{
				"settings.agentDepartments", "settings.departments", "settings.reasonCodesA", "settings.reasonCodesB",
				"settings.routeKinds", "settings.xsSeconds",
			},
		},
		"half an hour": {
			`{"companyId":"b","settings":{"staleChatHours":0.5}}`, 422, []string{"settings.staleChatHours"},
		},
		"settings wrong": {
			`{"companyId":"b","settings":{"payloadDays":0,"metadataDays":1.5,"validation":"loose","allowECB":"yes"}}`, 422,
			[]string{"settings.allowECB", "settings.metadataDays", "settings.payloadDays", "settings.validation"},
		},
		"body outlives its metadata": {
			`{"companyId":"b","settings":{"payloadDays":401}}`, 422, []string{"settings.payloadDays"},
		},
		"limit of zero": {`{"companyId":"b","limits":{"keys":0}}`, 422, []string{"limits.keys"}},
		"negative limit": {
			`{"companyId":"b","limits":{"keys":-1,"sseStreams":-2}}`, 422, []string{"limits.keys", "limits.sseStreams"},
		},
		"limit not whole": {`{"companyId":"b","limits":{"keys":1.5}}`, 422, []string{"limits.keys"}},
		"unknown limit":   {`{"companyId":"b","limits":{"key":1}}`, 422, []string{"limits.key"}},
		"not a network": {
			`{"companyId":"b","allowNetworks":["10.0.0.0/8","localhost"]}`, 422, []string{"allowNetworks[1]"},
		},
		"network of nothing":     {`{"companyId":"b","allowNetworks":[""]}`, 422, []string{"allowNetworks[0]"}},
		"network with more bits": {`{"companyId":"b","allowNetworks":["10.1.2.3/8"]}`, 422, []string{"allowNetworks[0]"}},
		"unknown field":          {`{"companyId":"b","colour":"red"}`, 422, []string{"colour"}},
		"several at once": {
			`{"companyId":"b","timezone":"x","limits":{"keys":0}}`, 422, []string{"timezone", "limits.keys"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.fields, fields(o.want(tt.status, platform, "POST", "/v1/tenants", tt.body)))
		})
	}

	require.Len(t, o.want(200, platform, "GET", "/v1/tenants", "")["data"], 1, "no refused request left anything behind")
}

func TestPatchesRefused(t *testing.T) {
	o := newOffice(t)
	acme := o.tenant("acme")
	other := o.tenant("other")

	for name, tt := range map[string]struct {
		as     access.Caller
		id     string
		body   string
		status int
		fields []string
	}{
		"another id":            {platform, "acme", `{"companyId":"b"}`, 422, []string{"companyId"}},
		"null of no field":      {platform, "acme", `{"colour":null}`, 422, []string{"colour"}},
		"null of no setting":    {platform, "acme", `{"settings":{"colour":null}}`, 422, []string{"settings.colour"}},
		"null of no limit":      {platform, "acme", `{"limits":{"colour":null}}`, 422, []string{"limits.colour"}},
		"not an object":         {platform, "acme", `[]`, 422, nil},
		"wrong type":            {platform, "acme", `{"name":7}`, 422, []string{"name"}},
		"unknown tenant":        {platform, "nobody", `{"name":"x"}`, 404, nil},
		"owner: limits":         {acme, "acme", `{"limits":{"keys":1}}`, 403, []string{"limits"}},
		"owner: networks":       {acme, "acme", `{"allowNetworks":[]}`, 403, []string{"allowNetworks"}},
		"owner: suspended":      {acme, "acme", `{"suspended":null}`, 403, []string{"suspended"}},
		"owner: another tenant": {other, "acme", `{"name":"mine"}`, 404, nil},
		"owner: unknown tenant": {other, "nobody", `{"name":"mine"}`, 404, nil},
		"against what is kept": {
			platform, "acme", `{"settings":{"metadataDays":29}}`, 422, []string{"settings.payloadDays"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.fields, fields(o.want(tt.status, tt.as, "PATCH", "/v1/tenants/"+tt.id, tt.body)))
		})
	}

	require.EqualValues(t, 1, o.want(200, acme, "GET", "/v1/tenants/acme", "")["version"], "no refused request left anything behind")
	o.want(404, other, "GET", "/v1/tenants/acme", "")
	o.want(200, acme, "PATCH", "/v1/tenants/acme", `{"name":"Ours","timezone":"UTC","settings":{"allowECB":true}}`)
}

// Concurrent patches of different fields all hold, and the book ends with the last.
func TestPatchesRace(t *testing.T) {
	o := newOffice(t)
	o.tenant("acme")
	names := []string{"eventsPerSecond", "subscriptions", "keys", "pendingDeliveries", "sseStreams", "exports"}
	done := make(chan int, len(names))
	for _, n := range names {
		go func() {
			done <- o.call(platform, "PATCH", "/v1/tenants/acme", fmt.Sprintf(`{"limits":{%q:77}}`, n)).Code
		}()
	}
	for range names {
		require.Equal(t, 200, <-done)
	}
	want := access.Limits{
		EventsPerSecond: 77, Subscriptions: 77, Keys: 77, PendingDeliveries: 77, SSEStreams: 77, Exports: 77,
	}
	stored, err := o.db.FindTenant(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, want, stored.Limits)
	require.Equal(t, stored, o.book.TenantOf("acme"))
	require.EqualValues(t, 7, stored.Version)
}

func TestTenantPages(t *testing.T) {
	o := newOffice(t)
	for i := range 7 {
		o.tenant(fmt.Sprintf("t%d", i))
	}
	var ids []string
	path := "/v1/tenants?limit=3"
	for pages := 1; ; pages++ {
		got := o.want(200, platform, "GET", path, "")
		for _, d := range got["data"].([]any) {
			ids = append(ids, d.(map[string]any)["companyId"].(string))
		}
		next, more := got["nextCursor"].(string)
		if !more {
			require.Equal(t, 3, pages)
			break
		}
		path = "/v1/tenants?limit=3&cursor=" + next
	}
	require.Equal(t, []string{"t6", "t5", "t4", "t3", "t2", "t1", "t0"}, ids)
	require.NotContains(t, o.want(200, platform, "GET", "/v1/tenants?limit=7", ""), "nextCursor", "exactly the last page")
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=501": "limit", "cursor=AAAA": "cursor", "colour=red": "colour",
	} {
		require.Equal(t, []string{field}, fields(o.want(400, platform, "GET", "/v1/tenants?"+query, "")))
	}
}

// A setting that is an object is replaced, not mixed with what it was.
func TestSettingsAreReplaced(t *testing.T) {
	o := newOffice(t)
	o.want(201, platform, "POST", "/v1/tenants",
		`{"companyId":"b","settings":{"xsSeconds":20,"routeKinds":{"r1":"agent"}}}`)
	got := o.want(200, platform, "PATCH", "/v1/tenants/b", `{"settings":{"routeKinds":{"r2":"thirdPSTN"}}}`)
	require.Equal(t, map[string]any{"xsSeconds": 20.0, "routeKinds": map[string]any{"r2": "thirdPSTN"}}, got["settings"])
}
