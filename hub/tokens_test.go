package hub_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

const (
	plansPath     = "/callservice/tm/tm-reports/gateway_number/check_plan"
	recordingPath = "/callservice/v6/cc-audios/recordings/"
)

// client is a client of the vendor's API, with an app.
type client struct {
	*hubtest.Hub
	t             *testing.T
	appID, secret string
	last          int64 // time of the last sign: no two have the same
}

func newClient(t *testing.T, h *hubtest.Hub, owner string) *client {
	t.Helper()
	a := h.Do("POST", "/v1/apps", owner, `{"kind":"sobot","name":"crm"}`)
	require.Equal(t, 201, a.Status, "%s", a.Body)
	app := a.JSON(t)
	return &client{Hub: h, t: t, appID: app["appId"].(string), secret: app["appSecret"].(string)}
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// now returns the time in ms, and never the same twice.
func (c *client) now() int64 {
	c.last = max(time.Now().UnixMilli(), c.last+1)
	return c.last
}

// body makes the body of a request for a token that was signed at ms. change may alter
// it.
func (c *client) body(ms int64, change ...func(map[string]any)) map[string]any {
	at := strconv.FormatInt(ms, 10)
	b := map[string]any{
		"responseType": "token", "appId": c.appID, "currentTime": at, "sign": md5hex(c.appID + at + "token" + c.secret),
	}
	for _, f := range change {
		f(b)
	}
	return b
}

// token asks for a token and returns it.
func (c *client) token(kind string, change ...func(map[string]any)) string {
	c.t.Helper()
	a := c.Do("POST", "/tokens/"+kind, "", c.body(c.now(), change...))
	require.Equal(c.t, 200, a.Status, "%s", a.Body)
	return a.JSON(c.t)["access_token"].(string)
}

func agent1001(b map[string]any) { b["agentNo"] = "1001" }

// as asks for the display schemes with a header that has the credential.
func (c *client) as(header, value string) hubtest.Answer {
	c.t.Helper()
	return c.Do("GET", plansPath+"?planType=1", "", nil, header, value)
}

// denied requires the failure envelope of the vendor's APIs.
func denied(t *testing.T, status int, reason, begins string, a hubtest.Answer) {
	t.Helper()
	require.Equal(t, status, a.Status, "%s", a.Body)
	got := a.JSON(t)
	require.Equal(t, "Fail", got["status"])
	require.EqualValues(t, status, got["code"])
	require.Equal(t, reason, got["reason"])
	require.Equal(t, "Error", got["kind"])
	require.True(t, strings.HasPrefix(got["message"].(string), begins), "%s", a.Body)
}

func TestTokenRoundTrip(t *testing.T) {
	h := hubtest.Start(t)
	c := newClient(t, h, h.Owner)

	a := h.Do("POST", "/tokens/company", "", c.body(c.now()))
	require.Equal(t, 200, a.Status, "%s", a.Body)
	got := a.JSON(t)
	company := got["access_token"].(string)
	require.Equal(t, map[string]any{
		"response_type": "token", "access_token": company, "accessToken": company,
		"expires_in": 86400000.0, "expiresIn": 86400000.0, "realm": "third", "domain": "sobot",
	}, got)
	head, err := base64.RawURLEncoding.DecodeString(strings.Split(company, ".")[0])
	require.NoError(t, err)
	require.JSONEq(t, `{"alg":"HS256","typ":"JWT"}`, string(head))

	number := c.token("company", func(b map[string]any) {
		at, err := strconv.ParseInt(b["currentTime"].(string), 10, 64)
		require.NoError(t, err)
		b["currentTime"] = at // a number, as the table says it may be
	})
	agent := c.token("agent", agent1001)
	c.token("agent", func(b map[string]any) { b["agentNumber"] = 1001 })
	c.token("agent", func(b map[string]any) { b["agentId"], b["agentNo"] = "u-1", "1001" })

	second := strconv.FormatInt(time.Now().Unix(), 10)
	sign := strings.ToUpper(md5hex(c.appID + second + c.secret))
	old := h.Do("GET", "/api/get_token?appid="+c.appID+"&create_time="+second+"&sign="+sign, "", nil)
	require.Equal(t, 200, old.Status, "%s", old.Body)
	require.Equal(t, "000000", old.JSON(t)["ret_code"])
	item := old.JSON(t)["item"].(map[string]any)
	require.EqualValues(t, 86400, item["expires_in"])

	for _, token := range []string{company, number, agent, item["token"].(string)} {
		require.Equal(t, 200, c.as("Authorization", "Bearer "+token).Status)
		require.Equal(t, 200, c.as("Authorization", token).Status)
		require.Equal(t, 200, c.as("token", token).Status)
		refused(t, 401, h.Do("GET", "/v1/events", token, nil)) // tokens are for the vendor's API
		denied(t, 401, "UNAUTHORIZED", "", h.Do("GET", plansPath+"?token="+token, "", nil))
	}
	require.Equal(t, 200, c.as("Authorization", "Bearer "+h.Owner).Status)
	denied(t, 401, "UNAUTHORIZED", "", h.Do("GET", plansPath, "", nil))
	denied(t, 403, "FORBIDDEN", "", h.Do("GET", plansPath, hubtest.PlatformKey, nil))
	ingest := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"ingest"}`).JSON(t)["key"].(string)
	denied(t, 403, "FORBIDDEN", "", h.Do("GET", plansPath, ingest, nil))

	// It outlives a restart, and dies with its app.
	h.Restart()
	require.Equal(t, 200, c.as("Authorization", company).Status)
	require.Equal(t, 204, h.Do("DELETE", "/v1/apps/"+c.appID, h.Owner, nil).Status)
	for _, token := range []string{company, agent, item["token"].(string)} {
		denied(t, 401, "UNAUTHORIZED", "", c.as("Authorization", token))
	}
	denied(t, 401, "UNAUTHORIZED", "sign:", h.Do("POST", "/tokens/company", "", c.body(c.now())))
}

func TestTokenBadInput(t *testing.T) {
	h := hubtest.Start(t, func(c *config.Config) { c.TrustedProxies = []string{"loopback"} })
	c := newClient(t, h, h.Owner)
	theirs := newClient(t, h, otherTenant(t, h))
	calls := 0
	ask := func(path string, body any) hubtest.Answer { // wrong ones are counted by address
		calls++
		return h.Do("POST", path, "", body, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", calls%250+1))
	}
	with := func(name string, value any) func(map[string]any) {
		return func(b map[string]any) {
			if value == nil {
				delete(b, name)
			} else {
				b[name] = value
			}
		}
	}
	for _, tt := range []struct {
		kind           string
		name           string
		value          any
		status         int
		reason, begins string
	}{
		{"company", "responseType", nil, 400, "PARAM_REQUIRED", "responseType:"},
		{"company", "responseType", "code", 400, "PARAM_VALUE", "responseType:"},
		{"company", "responseType", true, 400, "PARAM_TYPE", "responseType:"},
		{"company", "appId", nil, 400, "PARAM_REQUIRED", "appId:"},
		{"company", "appId", []string{"x"}, 400, "PARAM_TYPE", "appId:"},
		{"company", "appId", "nobody", 401, "UNAUTHORIZED", "sign:"},
		{"company", "appId", theirs.appID, 401, "UNAUTHORIZED", "sign:"},
		{"company", "currentTime", nil, 400, "PARAM_REQUIRED", "currentTime:"},
		{"company", "currentTime", "yesterday", 400, "PARAM_TYPE", "currentTime:"},
		{"company", "currentTime", "-1", 400, "PARAM_TYPE", "currentTime:"},
		{"company", "currentTime", "1e12", 400, "PARAM_TYPE", "currentTime:"},
		{"company", "currentTime", strings.Repeat("9", 30), 400, "PARAM_TYPE", "currentTime:"},
		{"company", "currentTime", "1", 401, "UNAUTHORIZED", "sign:"},
		{"company", "sign", nil, 400, "PARAM_REQUIRED", "sign:"},
		{"company", "sign", "", 400, "PARAM_REQUIRED", "sign:"},
		{"company", "sign", md5hex("x"), 401, "UNAUTHORIZED", "sign:"},
		{"company", "sign", "no hex", 401, "UNAUTHORIZED", "sign:"},
		{"agent", "x", nil, 400, "PARAM_REQUIRED", "agentId:"},
		{"agent", "agentNo", "", 400, "PARAM_REQUIRED", "agentId:"},
		{"agent", "agentNo", true, 400, "PARAM_TYPE", "agentNo:"},
		{"agent", "agentId", strings.Repeat("u", 129), 400, "PARAM_VALUE", "agentId:"},
	} {
		denied(t, tt.status, tt.reason, tt.begins, ask("/tokens/"+tt.kind, c.body(c.now(), with(tt.name, tt.value))))
	}
	denied(t, 400, "BODY_INVALID", "body:", ask("/tokens/company", `[`))
	denied(t, 400, "BODY_INVALID", "body:", ask("/tokens/company", `[]`))
	denied(t, 413, "BODY_TOO_LARGE", "body:", ask("/tokens/company", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`))
	denied(t, 405, "METHOD_NOT_ALLOWED", "", h.Do("GET", "/tokens/company", "", nil))
	denied(t, 404, "NOT_FOUND", "", h.Do("GET", "/tokens/user", "", nil))

	// Too old, too new, and a second time: also after a restart, and for another kind.
	for _, off := range []time.Duration{-access.SignWindow - time.Minute, access.SignWindow + time.Minute} {
		denied(t, 401, "UNAUTHORIZED", "currentTime:", ask("/tokens/company", c.body(time.Now().Add(off).UnixMilli())))
	}
	once := c.body(c.now())
	require.Equal(t, 200, ask("/tokens/company", once).Status)
	h.Restart()
	denied(t, 401, "UNAUTHORIZED", "sign: was used", ask("/tokens/company", once))
	agent1001(once)
	denied(t, 401, "UNAUTHORIZED", "sign: was used", ask("/tokens/agent", once))

	// Forged, and of another tenant.
	token := c.token("company")
	parts := strings.Split(token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	swapped := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), c.appID, theirs.appID, 1)))
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for n, forged := range []string{
		none + "." + parts[1] + ".", none + "." + parts[1] + "." + parts[2],
		parts[0] + "." + swapped + "." + parts[2], token + "x", parts[0] + "." + parts[1],
	} {
		from := fmt.Sprintf("192.0.3.%d", n)
		a := h.Do("GET", plansPath, "", nil, "Authorization", forged, "X-Forwarded-For", from)
		denied(t, 401, "UNAUTHORIZED", "", a)
	}
	mine := c.as("Authorization", token).JSON(t)["data"].(map[string]any)["id"]
	require.Equal(t, md5hex("demo:1:Default plan"), mine)
	plan := theirs.as("Authorization", theirs.token("company")).JSON(t)["data"].(map[string]any)
	require.Equal(t, md5hex("other:1:Default plan"), plan["id"])

	// An app of another kind signs in another way.
	made := h.Do("POST", "/v1/apps", h.Owner, `{"kind":"oauth1"}`).JSON(t)
	oauth := &client{Hub: h, t: t, appID: made["appId"].(string), secret: made["appSecret"].(string)}
	denied(t, 401, "UNAUTHORIZED", "sign:", ask("/tokens/company", oauth.body(oauth.now())))

	// A suspended tenant gets no token, and those that it has sleep.
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"suspended":true}`).Status)
	denied(t, 403, "FORBIDDEN", "", c.as("Authorization", token))
	denied(t, 401, "UNAUTHORIZED", "sign:", ask("/tokens/company", c.body(c.now())))
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"suspended":false}`).Status)
	require.Equal(t, 200, c.as("Authorization", token).Status)

	// Who guesses is slowed; who is right is not.
	wrong := c.body(c.now(), with("sign", md5hex("guess")))
	last := hubtest.Answer{}
	for range 12 {
		last = h.Do("POST", "/tokens/company", "", wrong)
	}
	denied(t, 429, "TOO_MANY_REQUESTS", "", last)
	require.NotEmpty(t, last.Header.Get("Retry-After"))
	c.token("company")
}

func TestOldTokenBadInput(t *testing.T) {
	h := hubtest.Start(t)
	c := newClient(t, h, h.Owner)
	second := strconv.FormatInt(time.Now().Unix(), 10)
	good := "appid=" + c.appID + "&create_time=" + second + "&sign=" + md5hex(c.appID+second+c.secret)
	stale := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	require.Equal(t, 200, h.Do("GET", "/api/get_token?"+good, "", nil).Status)
	for query, want := range map[string]struct {
		status int
		begins string
	}{
		good:                             {401, "sign: was used"},
		"":                               {400, "appid:"},
		"appid=x":                        {400, "create_time:"},
		"appid=x&appid=y":                {400, "appid:"},
		"appid=%zz":                      {400, "query:"},
		"appid=x&sign=y":                 {400, "create_time:"},
		good + "&sign=y":                 {400, "sign:"},
		"appid=x&create_time=now&sign=y": {400, "create_time:"},
		"appid=x&create_time=1&sign=y":   {401, "sign:"},
		"appid=" + c.appID + "&create_time=" + stale + "&sign=" + md5hex(c.appID+stale+c.secret): {401, "create_time:"},
	} {
		a := h.Do("GET", "/api/get_token?"+query, "", nil)
		require.Equal(t, want.status, a.Status, "%s: %s", query, a.Body)
		var got struct {
			Code string          `json:"ret_code"`
			Text string          `json:"ret_msg"`
			Item json.RawMessage `json:"item"`
		}
		require.NoError(t, json.Unmarshal(a.Body, &got))
		require.Equal(t, fmt.Sprintf("%06d", want.status), got.Code)
		require.True(t, strings.HasPrefix(got.Text, want.begins), "%s: %s", query, a.Body)
		require.Empty(t, got.Item)
	}
}

// S12: the answers of the contract, to the letter.
func TestCheckPlan(t *testing.T) {
	h := hubtest.Start(t)
	const envelope = `{"apiVersion":"6.2","status":"Success","code":200,"message":"","reason":"OK","kind":"CheckPlan",` +
		`"metaData":{"creatorId":"","creationTime":0,"updateUserId":"","updatedTime":0},"data":%s}`
	object := func(planType int) string {
		id := md5hex(fmt.Sprintf("demo:%d:Default plan", planType))
		return fmt.Sprintf(`{"id":%q,"planName":"Default plan","planType":%d,"checked":1}`, id, planType)
	}
	all := "[" + object(1) + "," + object(2) + "," + object(4) + "," + object(24) + "]"
	for query, data := range map[string]string{
		"": all, "?planType=": all, "?planType=%20": all, "?other=1": all,
		"?planType=1": object(1), "?planType=2": object(2), "?planType=4": object(4), "?planType=%2024%20": object(24),
	} {
		for _, prefix := range []string{"/callservice/tm/tm-reports", "/callservice/v6/cc-reports"} {
			a := h.Do("GET", prefix+"/gateway_number/check_plan"+query, h.Owner, nil, "timezoneid", "America/New_York")
			require.Equal(t, 200, a.Status, "%s", a.Body)
			require.Equal(t, fmt.Sprintf(envelope, data), string(a.Body), query)
			require.Equal(t, "application/json;charset=utf-8", a.Header.Get("Content-Type"))
		}
	}
	for query, reason := range map[string]string{
		"?planType=x": "PARAM_TYPE", "?planType=1.0": "PARAM_TYPE", "?planType=1e0": "PARAM_TYPE",
		"?planType=-": "PARAM_TYPE", "?planType=true": "PARAM_TYPE",
		"?planType=3": "PARAM_VALUE", "?planType=0": "PARAM_VALUE", "?planType=-1": "PARAM_VALUE",
		"?planType=99999999999999999999": "PARAM_VALUE",
		"?planType=1&planType=2":         "PARAM_VALUE",
	} {
		denied(t, 400, reason, "planType:", h.Do("GET", plansPath+query, h.Owner, nil))
	}
	for _, zone := range []string{"Local", "+8:00", "GMT+19", "Mars/Olympus", "../etc/passwd"} {
		denied(t, 400, "PARAM_VALUE", "timezoneid:", h.Do("GET", plansPath+"?planType=x", h.Owner, nil, "timezoneid", zone))
	}
}

// S8: the recording behind a record's recordUrl.
func TestVendorRecording(t *testing.T) {
	h := hubtest.Start(t)
	c := newClient(t, h, h.Owner)
	other := newClient(t, h, otherTenant(t, h))
	put := h.Do("PUT", "/v1/recordings/r-1", h.Owner, "0123456789", "Content-Type", "audio/mpeg")
	require.Equal(t, 200, put.Status)
	url := put.JSON(t)["recordUrl"].(string)
	require.Equal(t, recordingPath+"r-1", url)
	for _, token := range []string{c.token("company"), c.token("agent", agent1001), "Bearer " + h.Owner} {
		got := h.Do("GET", url, "", nil, "Authorization", token)
		require.Equal(t, 200, got.Status, "%s", got.Body)
		require.Equal(t, "0123456789", string(got.Body))
		require.Equal(t, "audio/mpeg", got.Header.Get("Content-Type"))
		part := h.Do("GET", url, "", nil, "Authorization", token, "Range", "bytes=2-4")
		require.Equal(t, http.StatusPartialContent, part.Status)
		require.Equal(t, "234", string(part.Body))
		same := h.Do("GET", url, "", nil, "Authorization", token, "If-None-Match", got.Header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, same.Status)
		head := h.Do("HEAD", url, "", nil, "Authorization", token)
		require.Equal(t, 200, head.Status)
		require.Equal(t, "10", head.Header.Get("Content-Length"))
	}
	denied(t, 404, "NOT_FOUND", "", h.Do("GET", url, "", nil, "Authorization", other.token("company")))
	denied(t, 404, "NOT_FOUND", "", h.Do("GET", recordingPath+"r-2", h.Owner, nil))
	denied(t, 404, "NOT_FOUND", "", h.Do("GET", recordingPath+"a%20b", h.Owner, nil))
	denied(t, 401, "UNAUTHORIZED", "", h.Do("GET", url, "", nil))
	denied(t, 405, "METHOD_NOT_ALLOWED", "", h.Do("PUT", url, h.Owner, "x"))

	elsewhere := h.Do("PUT", "/v1/recordings/r-3", h.Owner, `{"sourceUrl":"https://127.0.0.1:1025/r.mp3"}`)
	require.Equal(t, 200, elsewhere.Status)
	denied(t, 503, "UNAVAILABLE", "the source of the recording", h.Do("GET", recordingPath+"r-3", h.Owner, nil))
	require.Contains(t, string(h.Do("GET", "/v1/audit?action=recording.view", h.Owner, nil).Body), c.appID)
}
