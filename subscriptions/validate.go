package subscriptions

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
)

// Limits of a subscription.
const (
	maxName        = 200  // characters
	maxDescription = 2000 // characters
	maxURL         = 2048 // bytes
	maxEvents      = 64
	minAppKey      = 16 // characters
	maxAppKey      = 128
	minDerivedKey  = 32 // characters of an appKey that a sealing key is derived from
	maxSteps       = 20
	maxStep        = 24 * time.Hour
	maxGiveUp      = 30 * 24 * time.Hour
)

// Rules are what the hub and the tenant allow.
type Rules struct {
	RequireHTTPS bool                 // refuse http callback URLs
	AllowECB     bool                 // of the tenant: accept aes-128-ecb
	CheckURL     func(*url.URL) error // the network guard: scheme, port, literal addresses; its error is shown
	Now          time.Time            // default: the present; begins pauses and keys
}

// DefaultRetry and DefaultGiveUp apply where a subscription says nothing. All such
// subscriptions share them: never write to them.
var (
	DefaultRetry = map[event.Class]Retry{
		event.CDR: {Jitter: 0.2, Schedule: []time.Duration{
			5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
			5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		}},
		event.Live: {Jitter: 0.2, Schedule: []time.Duration{
			time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute,
		}},
	}
	DefaultGiveUp = map[event.Class]time.Duration{event.CDR: 96 * time.Hour, event.Live: time.Hour}
)

var everything = []string{"*"}

const (
	defaultTimeout     = 10 * time.Second
	defaultMaxInFlight = 8
)

// madeByHub are fields of the answer that nobody can set.
var madeByHub = map[string]bool{
	"id": true, "version": true, "createdAt": true, "updatedAt": true, "hold": true, "breaker": true,
	"pausedReason": true, "signingSecret": true,
}

// Create reads what an admin asks for, as JSON, into a new subscription. If something
// is wrong the subscription is nil, and every problem is listed with the JSON pointer
// of its field. null means the default, as in Patch. Number, id, tenant, version and
// time of creation are left to the store. appKey, and with encryption the sealing key,
// are made if they are not given.
func Create(raw []byte, rules Rules) (*Subscription, []event.Problem) {
	blank := &Subscription{
		Events: everything, Encryption: signing.None, Ordering: OrderingKey, Timeout: defaultTimeout,
		Retry: DefaultRetry, GiveUpAfter: DefaultGiveUp, MaxInFlight: defaultMaxInFlight, State: Active,
	}
	blank.Types, _ = event.ParseMask(everything)
	return change(blank, raw, rules, true)
}

// Patch applies a JSON merge patch (RFC 7396) to a copy of current. null resets a field
// to its default; filter, headers, retry and giveUpAfter merge by name; "***" for a
// header leaves its value as it is. A new appKey or encryptionKey becomes a new key at
// once and ends those before it, so Keys of the result has grown. Problems are as in
// Create.
func Patch(current *Subscription, raw []byte, rules Rules) (*Subscription, []event.Problem) {
	return change(current, raw, rules, false)
}

// edit is one Create or Patch on its way.
type edit struct {
	*Subscription // the copy being changed
	input
	rules      Rules
	now        time.Time
	appKey     *string // given; "": make one
	encryption []byte  // given; empty, not nil: make one
}

// setters read one field each; raw is never null.
var setters = map[string]func(e *edit, field string, raw json.RawMessage){
	"name":          func(e *edit, f string, raw json.RawMessage) { e.text(&e.Name, f, raw, 0, maxName) },
	"description":   func(e *edit, f string, raw json.RawMessage) { e.text(&e.Description, f, raw, 0, maxDescription) },
	"url":           (*edit).setURL,
	"events":        (*edit).setEvents,
	"filter":        (*edit).setFilter,
	"masking":       (*edit).setMasking,
	"appKey":        (*edit).setAppKey,
	"encryption":    (*edit).setEncryption,
	"encryptionKey": (*edit).setEncryptionKey,
	"ordering": func(e *edit, f string, raw json.RawMessage) {
		e.oneOf(&e.Ordering, f, raw, OrderingKey, OrderingNone)
	},
	"headers":       (*edit).setHeaders,
	"timeoutMs":     (*edit).setTimeout,
	"retry":         (*edit).setRetry,
	"giveUpAfter":   (*edit).setGiveUpAfter,
	"maxInFlight":   func(e *edit, f string, raw json.RawMessage) { e.integer(&e.MaxInFlight, f, raw, 1, 64) },
	"state":         (*edit).setState,
	"supersede":     func(e *edit, f string, raw json.RawMessage) { e.boolean(&e.Supersede, f, raw) },
	"strictAck":     func(e *edit, f string, raw json.RawMessage) { e.boolean(&e.StrictAck, f, raw) },
	"ratePerSecond": func(e *edit, f string, raw json.RawMessage) { e.number(&e.RatePerSecond, f, raw, 0.01, 10000) },
	"expiresAfter": func(e *edit, f string, raw json.RawMessage) {
		e.duration(&e.ExpiresAfter, f, raw, time.Second, maxGiveUp)
	},
}

// resets put one field back to its default.
var resets = map[string]func(e *edit){
	"name":          func(e *edit) { e.Name = "" },
	"description":   func(e *edit) { e.Description = "" },
	"url":           func(e *edit) { e.URL = "" },
	"events":        func(e *edit) { e.Events = everything; e.Types, _ = event.ParseMask(everything) },
	"filter":        func(e *edit) { e.Filter = nil },
	"masking":       func(e *edit) { e.Masking = event.Unmasked },
	"appKey":        func(e *edit) { e.appKey = new(string) },
	"encryption":    func(e *edit) { e.Encryption = signing.None },
	"encryptionKey": func(e *edit) { e.encryption = []byte{} },
	"ordering":      func(e *edit) { e.Ordering = OrderingKey },
	"headers":       func(e *edit) { e.Headers = nil },
	"timeoutMs":     func(e *edit) { e.Timeout = defaultTimeout },
	"retry":         func(e *edit) { e.Retry = DefaultRetry },
	"giveUpAfter":   func(e *edit) { e.GiveUpAfter = DefaultGiveUp },
	"maxInFlight":   func(e *edit) { e.MaxInFlight = defaultMaxInFlight },
	"state":         func(e *edit) { e.Subscription = e.Resume(e.now) },
	"supersede":     func(e *edit) { e.Supersede = false },
	"strictAck":     func(e *edit) { e.StrictAck = false },
	"ratePerSecond": func(e *edit) { e.RatePerSecond = 0 },
	"expiresAfter":  func(e *edit) { e.ExpiresAfter = 0 },
}

func change(base *Subscription, raw []byte, rules Rules, creating bool) (*Subscription, []event.Problem) {
	next := *base
	e := &edit{Subscription: &next, rules: rules, now: rules.Now}
	if e.now.IsZero() {
		e.now = time.Now()
	}
	e.now = e.now.Truncate(time.Millisecond) // as it is stored: a signature is rebuilt with the keys of its time
	if !e.wellFormed(raw) {
		return nil, e.problems
	}

	fields, ok := e.object("", bytes.TrimSpace(raw))
	if !ok {
		return nil, e.problems
	}
	for _, f := range fields {
		set, known := setters[f.name]
		switch {
		case madeByHub[f.name]:
			e.problem(f.pointer, "read_only", "is set by the hub")
		case !known:
			e.problem(f.pointer, "unknown_field", "is not a field of a subscription")
		case f.isNull():
			resets[f.name](e)
		default:
			set(e, f.pointer, f.value)
		}
	}

	// What concerns several fields comes last.
	if e.URL == "" && !slices.ContainsFunc(e.problems, func(p event.Problem) bool { return p.Field == "/url" }) {
		e.problem("/url", "missing", "is required")
	}
	if e.Supersede && e.Ordering == OrderingNone {
		e.problem("/supersede", "invalid_value", `needs ordering "key": without order nothing says which is the later one`)
	}
	e.setKeys(creating)
	if len(e.problems) > 0 {
		return nil, e.problems
	}
	return e.Subscription, nil
}

func (e *edit) setURL(field string, raw json.RawMessage) {
	var s string
	if !e.text(&s, field, raw, 1, maxURL) {
		return
	}
	u, problem := ParseURL(s)
	switch {
	case problem != "":
	case u.Scheme == "http" && e.rules.RequireHTTPS:
		problem = "must be https on this hub"
	case e.rules.CheckURL != nil:
		if err := e.rules.CheckURL(u); err != nil {
			problem = err.Error()
		}
	}
	if problem != "" {
		e.problem(field, "invalid_url", problem)
		return
	}
	e.URL = s
}

func (e *edit) setEvents(field string, raw json.RawMessage) {
	items, ok := e.array(field, raw, 1, maxEvents)
	if !ok {
		return
	}
	patterns := make([]string, 0, len(items))
	var types event.Mask
	for i, item := range items {
		at := fmt.Sprintf("%s/%d", field, i)
		var p string
		if !e.text(&p, at, item, 1, 100) {
			continue
		}
		mask, unknown := event.ParseMask([]string{p})
		if unknown != "" {
			e.problem(at, "unknown_type", "matches no type of event")
			continue
		}
		patterns, types = append(patterns, p), types|mask
	}
	e.Events, e.Types = patterns, types
}

func (e *edit) setMasking(field string, raw json.RawMessage) {
	var s string
	if e.oneOf(&s, field, raw, event.Unmasked.String(), event.Partial.String(), event.Dropped.String()) {
		e.Masking, _ = event.ParseMasking(s)
	}
}

func (e *edit) setAppKey(field string, raw json.RawMessage) {
	var s string
	if e.text(&s, field, raw, minAppKey, maxAppKey) {
		e.appKey = &s
	}
}

func (e *edit) setEncryption(field string, raw json.RawMessage) {
	var kind string
	if !e.oneOf(&kind, field, raw, signing.None, signing.GCM, signing.CBC, signing.ECB) {
		return
	}
	if kind == signing.ECB && !e.rules.AllowECB {
		e.problem(field, "not_allowed", "aes-128-ecb shows equal blocks; it needs the tenant's setting allowECB")
		return
	}
	e.Encryption = kind
}

func (e *edit) setEncryptionKey(field string, raw json.RawMessage) {
	var s string
	if !e.text(&s, field, raw, 1, 100) {
		return
	}
	if s == FromAppKey {
		e.encryption = []byte(FromAppKey)
		return
	}
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || len(key) != 32 {
		e.problem(field, "invalid_value", `must be 32 bytes in base64, or "from-appKey"`)
		return
	}
	e.encryption = key
}

// setKeys makes the keys that are missing. It comes last: whether a key is
// needed, and long enough, depends on several fields.
func (e *edit) setKeys(creating bool) {
	var last Key
	if len(e.Keys) > 0 {
		last = e.Keys[len(e.Keys)-1]
	}

	// The key that is in force next, if it differs from the last one.
	next := Key{N: last.N + 1, AppKey: last.AppKey, Encryption: last.Encryption, From: e.now}
	switch {
	case e.appKey != nil && *e.appKey != "":
		next.AppKey = *e.appKey
	case e.appKey != nil, creating:
		next.AppKey = base64.RawURLEncoding.EncodeToString(random32())
	}
	if e.encryption != nil {
		next.Encryption = e.encryption
	}
	if len(next.Encryption) == 0 && e.Encryption != signing.None {
		next.Encryption = random32()
	}

	if string(next.Encryption) == FromAppKey && utf8.RuneCountInString(next.AppKey) < minDerivedKey {
		field := "/encryptionKey"
		if e.appKey != nil {
			field = "/appKey"
		}
		e.problem(field, "invalid_value",
			fmt.Sprintf(`with encryptionKey "from-appKey" the appKey must have at least %d characters`, minDerivedKey))
	}
	if next.AppKey == last.AppKey && bytes.Equal(next.Encryption, last.Encryption) {
		return
	}

	keys := make([]Key, len(e.Keys), len(e.Keys)+1)
	copy(keys, e.Keys)
	until := e.now
	for i, k := range keys {
		if k.Until == nil || k.Until.After(until) {
			keys[i].Until = &until
		}
	}
	e.Keys = append(keys, next)
}

func random32() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return b
}

func (e *edit) setTimeout(field string, raw json.RawMessage) {
	var ms int
	if e.integer(&ms, field, raw, 1000, 30000) {
		e.Timeout = time.Duration(ms) * time.Millisecond
	}
}

// classes are the names of the two classes in retry and giveUpAfter.
var classes = map[string]event.Class{event.CDR.String(): event.CDR, event.Live.String(): event.Live}

// eachClass calls set for the classes in raw, and reset for those that are null.
func (e *edit) eachClass(field string, raw json.RawMessage, set func(event.Class, member), reset func(event.Class)) {
	fields, _ := e.object(field, raw)
	for _, f := range fields {
		class, ok := classes[f.name]
		switch {
		case !ok:
			e.problem(f.pointer, "unknown_field", "must be cdr or live")
		case f.isNull():
			reset(class)
		default:
			set(class, f)
		}
	}
}

func (e *edit) setRetry(field string, raw json.RawMessage) {
	retry := maps.Clone(e.Retry)
	e.eachClass(field, raw, func(class event.Class, f member) {
		r := retry[class]
		parts, _ := e.object(f.pointer, f.value)
		for _, p := range parts {
			switch {
			case p.name == "schedule" && p.isNull():
				r.Schedule = DefaultRetry[class].Schedule
			case p.name == "schedule":
				e.schedule(&r.Schedule, p)
			case p.name == "jitter" && p.isNull():
				r.Jitter = DefaultRetry[class].Jitter
			case p.name == "jitter":
				e.number(&r.Jitter, p.pointer, p.value, 0, 1)
			default:
				e.problem(p.pointer, "unknown_field", "must be schedule or jitter")
			}
		}
		retry[class] = r
	}, func(class event.Class) { retry[class] = DefaultRetry[class] })
	e.Retry = retry
}

func (e *edit) schedule(dst *[]time.Duration, f member) {
	items, ok := e.array(f.pointer, f.value, 0, maxSteps)
	if !ok {
		return
	}
	steps := make([]time.Duration, len(items))
	for i, item := range items {
		e.duration(&steps[i], fmt.Sprintf("%s/%d", f.pointer, i), item, time.Millisecond, maxStep)
	}
	*dst = steps
}

func (e *edit) setGiveUpAfter(field string, raw json.RawMessage) {
	after := maps.Clone(e.GiveUpAfter)
	e.eachClass(field, raw, func(class event.Class, f member) {
		d := after[class]
		e.duration(&d, f.pointer, f.value, time.Second, maxGiveUp)
		after[class] = d
	}, func(class event.Class) { after[class] = DefaultGiveUp[class] })
	e.GiveUpAfter = after
}

func (e *edit) setState(field string, raw json.RawMessage) {
	var state string
	switch {
	case !e.oneOf(&state, field, raw, Active, Paused):
	case state == Paused:
		e.Subscription = e.Pause(ByAdmin, e.now)
	default:
		e.Subscription = e.Resume(e.now)
	}
}
