package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/source/mapping"
)

// Kind is what the hub knows of one platform.
type Kind struct {
	Name       string
	Title      string
	Auths      []AuthType     // the first one is the default
	Decode     mapping.Format // "": the mapping says it
	OwnMapping bool           // a source needs a mapping of its own
	Settings   []Setting
	SetUp      string // for the platform's own configuration; {url} stands for that of the source

	answer func(c *Config, r *http.Request, body []byte, now time.Time) answer
}

// Setting is one setting of a kind.
type Setting struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // text, duration, number, boolean, or zone
	Default any    `json:"default,omitempty"`
	Text    string `json:"text"`
}

// answer is what a platform hears after the commit.
type answer struct {
	status int
	typ    string // of the body
	body   string
}

var anyAuth = []AuthType{ByPath, ByBasic, ByHeader, ByHMAC, ByTwilio, ByJWT, ByStandardWebhooks, ByBodySecret}

// Settings that every kind has.
var common = []Setting{
	{
		Name: "dedupe", Type: "text",
		Text: "What makes two inputs the same one: body, header:<name> or query:<name>. Without it the kind decides; of " +
			"those that know no better every input counts.",
	},
	{Name: "silentAfter", Type: "duration", Text: "An event source.silent is made when nothing came for so long, e.g. 15m."},
	{Name: "timezone", Type: "zone", Text: "Zone of local times, for mappings that ask for it as settings.timezone."},
}

// kinds are the forms that many platforms share.
var kinds = []Kind{
	{
		Name: "custom", Title: "Any platform that sends JSON, forms, XML or lines of JSON", Auths: anyAuth, OwnMapping: true,
		Settings: []Setting{
			{Name: "answerStatus", Type: "number", Default: 202, Text: "Status of the answer, 200 to 299."},
			{Name: "answerBody", Type: "text", Text: "Body of the answer."},
			{Name: "answerType", Type: "text", Default: "application/json", Text: "Content-Type of the answer's body."},
			{Name: "challenge", Type: "text", Text: "zoom: answer endpoint.url_validation with the secret of auth."},
		},
		SetUp:  "Let the platform send to {url} (POST or PUT, or GET with a query).",
		answer: customAnswer,
	},
	{
		Name: "cloudevents", Title: "CloudEvents 1.0: binary, structured, batch", Auths: anyAuth, Decode: mapping.AsCloudEvents,
		SetUp:  "Let the sender deliver to {url}. Types that are not the hub's own go into the table types.",
		answer: fixed(http.StatusAccepted, "", ""),
	},
	{
		Name: "eventbridge", Title: "Amazon EventBridge API destination", Auths: []AuthType{ByPath, ByHeader, ByBasic},
		Decode: mapping.AsEventBridge, OwnMapping: true,
		SetUp:  "Make a connection with an API key and an API destination with the endpoint {url}, method POST.",
		answer: fixed(http.StatusOK, "application/json", "{}"),
	},
	{
		Name: "firehose", Title: "Amazon Data Firehose HTTP endpoint", Auths: []AuthType{ByPath, ByHeader},
		Decode: mapping.AsFirehose, OwnMapping: true,
		SetUp: "Make a Firehose stream with the HTTP endpoint {url}. With auth of type header the name is " +
			"X-Amz-Firehose-Access-Key.",
		answer: firehoseAnswer,
	},
}

// platforms are the kinds with a mapping of the hub's own.
var platforms = []Kind{
	{
		Name: "freeswitch", Title: "FreeSWITCH call records (mod_json_cdr, mod_format_cdr)", Auths: []AuthType{ByPath, ByBasic},
		Decode: mapping.AsFreeSWITCH,
		SetUp: `In json_cdr.conf.xml: <param name="url" value="{url}"/>, <param name="log-b-leg" value="true"/> and ` +
			`<param name="retries" value="5"/>: by default it tries once.`,
		answer: fixed(http.StatusOK, "", ""),
	},
	{
		Name: "kamailio", Title: "Kamailio: a record per dialog", Auths: []AuthType{ByPath, ByHeader},
		Decode: mapping.AsJSON,
		SetUp:  "Post JSON from event_route[dialog:end] and from failure_route to {url}; docs/sources.md has the script.",
		answer: fixed(http.StatusOK, "", ""),
	},
	{
		Name: "twilio", Title: "Twilio voice status callbacks", Auths: []AuthType{ByTwilio, ByPath}, Decode: mapping.AsForm,
		SetUp: "Set statusCallback to {url}#rc=5 with the events initiated, ringing, answered and completed. The fragment makes " +
			"Twilio try again.",
		answer: fixed(http.StatusOK, "text/xml", `<?xml version="1.0" encoding="UTF-8"?><Response/>`),
	},
	{
		Name: "amazon-connect", Title: "Amazon Connect contact events by EventBridge", Auths: []AuthType{ByPath, ByHeader, ByBasic},
		Decode: mapping.AsEventBridge,
		SetUp: "Make an EventBridge rule for the source aws.connect, detail type Amazon Connect Contact Event, with an API " +
			"destination {url}, method POST.",
		answer: fixed(http.StatusOK, "application/json", "{}"),
	},
	{
		Name: "chatwoot", Title: "Chatwoot conversations", Auths: []AuthType{ByPath, ByHMAC}, Decode: mapping.AsJSON,
		SetUp:  "Add the webhook {url} with conversation_created, conversation_updated and conversation_status_changed.",
		answer: fixed(http.StatusOK, "", ""),
	},
}

// Kinds lists the kinds that are offered.
func Kinds() []Kind { return allKinds }

var allKinds = slices.Concat(kinds, platforms)

// KindNames lists their names.
func KindNames() []string {
	names := make([]string, len(allKinds))
	for i := range allKinds {
		names[i] = allKinds[i].Name
	}
	return names
}

// KindOf returns the kind with a name, or nil.
func KindOf(name string) *Kind {
	if i := slices.IndexFunc(allKinds, func(k Kind) bool { return k.Name == name }); i >= 0 {
		return &allKinds[i]
	}
	return nil
}

// AllSettings lists the settings of a kind and those of all kinds.
func (k *Kind) AllSettings() []Setting { return slices.Concat(k.Settings, common) }

// checkSettings returns what is wrong with the settings of a source.
func (c *Config) checkSettings(k *Kind) (problems []event.Problem) {
	all := k.AllSettings()
	for name, v := range c.Settings {
		i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name })
		field := "settings." + name
		if i < 0 {
			problems = append(problems, event.Problem{Field: field, Message: "is not a setting of this kind", Status: 422})
			continue
		}
		if message := checkSetting(all[i], v); message != "" {
			problems = append(problems, event.Problem{Field: field, Message: message, Status: 422})
		}
	}
	return problems
}

func checkSetting(s Setting, v any) string {
	text, isText := v.(string)

	// Values that are no texts.
	switch {
	case s.Type == "boolean":
		if _, is := v.(bool); !is {
			return "must be true or false"
		}
		return ""
	case s.Type == "number":
		n, is := v.(float64)
		if !is || n != float64(int64(n)) {
			return "must be a whole number"
		}
		if s.Name == "answerStatus" && (n < 200 || n > 299) {
			return "must be from 200 to 299"
		}
		return ""
	case !isText:
		return "must be a text"
	case len(text) > 1000:
		return "has more than 1000 bytes"
	}

	// Texts that must say something certain.
	switch {
	case s.Type == "duration":
		if d, err := time.ParseDuration(text); err != nil || d < 0 || d > 30*24*time.Hour {
			return `must be a duration up to 720h, e.g. "15m"`
		}
	case s.Type == "zone":
		if _, err := time.LoadLocation(text); err != nil || text == "" || text == "Local" {
			return "must be a time zone, e.g. Europe/Berlin"
		}
	case s.Name == "dedupe":
		how, name, _ := strings.Cut(text, ":")
		if text != "body" && (how != "header" && how != "query" || name == "") {
			return "must be body, header:<name> or query:<name>"
		}
	case s.Name == "challenge" && text != "zoom":
		return "must be zoom"
	case s.Name == "answerType" && strings.ContainsAny(text, "\r\n"):
		return "must be a media type"
	}
	return ""
}

func fixed(status int, typ, body string) func(*Config, *http.Request, []byte, time.Time) answer {
	return func(*Config, *http.Request, []byte, time.Time) answer { return answer{status, typ, body} }
}

func customAnswer(c *Config, _ *http.Request, body []byte, _ time.Time) answer {
	if c.text("challenge") == "zoom" {
		if a, is := zoomChallenge(c, body); is {
			return a
		}
	}
	a := answer{status: http.StatusAccepted, typ: "application/json", body: c.text("answerBody")}
	if n, is := c.Settings["answerStatus"].(float64); is {
		a.status = int(n)
	}
	if t := c.text("answerType"); t != "" {
		a.typ = t
	}
	return a
}

// zoomChallenge answers endpoint.url_validation, by which Zoom finds out whether the receiver
// knows the secret.
func zoomChallenge(c *Config, body []byte) (answer, bool) {
	var in struct {
		Event   string `json:"event"`
		Payload struct {
			PlainToken string `json:"plainToken"`
		} `json:"payload"`
	}
	if json.Unmarshal(body, &in) != nil || in.Event != "endpoint.url_validation" {
		return answer{}, false
	}
	mac := hmac.New(sha256.New, []byte(c.Auth.Secret))
	mac.Write([]byte(in.Payload.PlainToken))
	out, err := json.Marshal(map[string]string{
		"plainToken": in.Payload.PlainToken, "encryptedToken": hex.EncodeToString(mac.Sum(nil)),
	})
	return answer{http.StatusOK, "application/json", string(out)}, err == nil
}

// firehoseAnswer is what Firehose wants to hear, or it sends the batch again: the request's id
// and a time.
func firehoseAnswer(_ *Config, r *http.Request, _ []byte, now time.Time) answer {
	id, err := json.Marshal(r.Header.Get("X-Amz-Firehose-Request-Id"))
	if err != nil {
		id = []byte(`""`)
	}
	body := fmt.Sprintf(`{"requestId":%s,"timestamp":%d}`, id, now.UnixMilli())
	return answer{http.StatusOK, "application/json", body}
}
