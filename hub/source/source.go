// Package source is the way in for platforms that do not speak the hub's own JSON. A source has
// a URL with a secret of its own. What comes there is stored as it is before it is answered
// (the inbox), and becomes events afterwards (the folds), by a mapping, so that a mapping that
// is wrong loses nothing: what it rejected is seen, and mapped again when it was mended.
//
//	POST /v1/in/{token} ─▶ Inbox: whose is it, is it signed, which messages ─▶ commit ─▶ answer
//	                                                                             │ wake
//	     events, states of inputs, state of the assembler: ONE commit ◀─ Folds ◀─┘
package source

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/source/mapping"
)

// States of a source.
const (
	Active = "active"
	Paused = "paused" // inputs are taken and held
)

// Source is a way in, as it is kept. Once it is in a Book it is not changed any more.
type Source struct {
	No        int64
	ID        string // src_…
	Tenant    int64
	CompanyID string
	Version   int64 // grows with every change
	State     string
	CreatedAt time.Time
	UpdatedAt time.Time

	Config
}

// Config is what a tenant says of a source.
type Config struct {
	Name     string         `json:"name"`
	Kind     string         `json:"kind"`
	Auth     Auth           `json:"auth"`
	Settings map[string]any `json:"settings"`
	Tables   map[string]any `json:"tables"`
	Mapping  *mapping.Spec  `json:"mapping"`
}

// Token opens a source until a time; the zero time means for ever.
type Token struct {
	Hash   [32]byte
	Source int64
	Until  time.Time
}

// RotationOverlap is how long the token before the last rotation stays good.
const RotationOverlap = 24 * time.Hour

const tokenPrefix = "sk_"

// NewToken returns a new token. It is shown once, and only its hash is kept.
func NewToken() string {
	var secret [20]byte
	_, _ = rand.Read(secret[:]) // never fails: the runtime ends the process instead
	return tokenPrefix + hex.EncodeToString(secret[:])
}

// HashToken returns what is kept of a token.
func HashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// Path is where inputs come in; a token follows.
const Path = "/v1/in/"

// Redact returns a path with the token of a source in it hidden, for logs.
func Redact(path string) string {
	rest, is := strings.CutPrefix(path, Path)
	if !is {
		return path
	}
	if _, after, found := strings.Cut(rest, "/"); found {
		return Path + "***/" + after
	}
	return Path + "***"
}

// Limits of a source that are the same for all tenants.
const (
	MaxName     = 200
	maxDocument = 256 << 10 // bytes of settings, tables and mapping together
)

// Create reads the document of a new source. problems is empty if it is good.
func Create(raw []byte, rules Rules) (Config, []event.Problem) {
	var c Config
	if p := read(raw, &c); p != nil {
		return c, p
	}
	return c, c.check(rules)
}

// Rules are what the hub adds to the rules for sources.
type Rules struct {
	PublicURL string // HOOKLINE_PUBLIC_URL; "" if it is not set
}

func read(raw []byte, into any) []event.Problem {
	if len(raw) > maxDocument {
		return []event.Problem{{Message: "the document has more than " + strconv.Itoa(maxDocument) + " bytes", Status: 413}}
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return []event.Problem{{Field: wrong.Field, Message: "must not be " + wrong.Value, Status: 422}}
	}
	if name, is := strings.CutPrefix(err.Error(), "json: unknown field "); is {
		return []event.Problem{{Field: strings.Trim(name, `"`), Message: "is not a field of a source", Status: 422}}
	}
	return []event.Problem{{Message: "malformed JSON: " + err.Error(), Status: 400}}
}

// Patch applies a JSON merge patch to what the tenant said of a source. A new auth takes the
// place of the old one as a whole, because nobody can read the secrets of the old one.
func (c Config) Patch(raw []byte, rules Rules) (Config, []event.Problem) {
	var patch map[string]json.RawMessage
	if p := read(raw, &patch); p != nil {
		return c, p
	}
	if _, there := patch["kind"]; there {
		return c, []event.Problem{{Field: "kind", Message: "cannot be changed: make another source", Status: 422}}
	}

	next := c
	for _, name := range slices.Sorted(maps.Keys(patch)) {
		value := patch[name]
		if p := next.set(name, value); p != nil {
			return c, p
		}
	}
	return next, next.check(rules)
}

// set takes one field of a patch; null means its default.
func (c *Config) set(name string, value json.RawMessage) []event.Problem {
	null := string(value) == "null"
	var p []event.Problem

	switch name {
	case "name":
		c.Name = ""
		if !null {
			p = read(value, &c.Name)
		}
	case "auth":
		c.Auth = Auth{}
		if !null {
			p = read(value, &c.Auth)
		}
	case "settings":
		c.Settings, p = patchMap(c.Settings, value, null)
	case "tables":
		c.Tables, p = patchMap(c.Tables, value, null)
	case "mapping":
		c.Mapping = nil
		if !null {
			p = read(value, &c.Mapping)
		}
	default:
		return []event.Problem{{Field: name, Message: "is not a field of a source", Status: 422}}
	}

	// Name fields from the top of the document.
	for i := range p {
		p[i].Field = strings.TrimSuffix(name+"."+p[i].Field, ".")
	}
	return p
}

// patchMap sets the members that a patch names, each as a whole; null removes one.
func patchMap(of map[string]any, value json.RawMessage, null bool) (map[string]any, []event.Problem) {
	if null {
		return nil, nil
	}
	var patch map[string]any
	if p := read(value, &patch); p != nil {
		return of, p
	}
	next := maps.Clone(of)
	if next == nil {
		next = map[string]any{}
	}
	for name, v := range patch {
		if v == nil {
			delete(next, name)
		} else {
			next[name] = v
		}
	}
	return next, nil
}

// check returns what is wrong with a source, and fills in defaults.
func (c *Config) check(rules Rules) (problems []event.Problem) {
	bad := func(field, message string) {
		problems = append(problems, event.Problem{Field: field, Message: message, Status: 422})
	}
	if len(c.Name) > MaxName || c.Name == "" {
		bad("name", "must have 1 to "+strconv.Itoa(MaxName)+" bytes")
	}
	kind := KindOf(c.Kind)
	if kind == nil {
		bad("kind", "must be one of "+strings.Join(KindNames(), ", "))
		return problems
	}
	if c.Auth.Type == "" {
		c.Auth.Type = kind.Auths[0]
	}

	if p := c.Auth.check(kind, rules); p != nil {
		problems = append(problems, *p)
	}
	problems = append(problems, c.checkSettings(kind)...)
	if kind.OwnMapping && c.Mapping == nil {
		bad("mapping", "is required for this kind")
		return problems
	}
	if len(problems) > 0 {
		return problems
	}

	_, err := c.Compile()
	var wrong *mapping.Problem
	switch {
	case errors.As(err, &wrong):
		bad(wrong.Field, wrong.Message)
	case err != nil:
		bad("mapping", err.Error())
	}
	return problems
}

// Compile makes the mapping of a source ready.
func (c *Config) Compile() (*mapping.Mapping, error) {
	builtIn, err := mapping.BuiltIn(c.Kind)
	if err != nil {
		return nil, err
	}
	own := c.Mapping
	if kind := KindOf(c.Kind); kind != nil && kind.Decode != "" {
		var spec mapping.Spec
		if own != nil {
			spec = *own
		}
		spec.Decode = kind.Decode
		own = &spec
	}
	return mapping.Compile(mapping.Source{Kind: builtIn, Own: own, Tables: c.Tables, Settings: c.Settings})
}

// format returns how the inputs of a source are read.
func (c *Config) format() mapping.Format {
	if kind := KindOf(c.Kind); kind != nil && kind.Decode != "" {
		return kind.Decode
	}
	if c.Mapping != nil && c.Mapping.Decode != "" {
		return c.Mapping.Decode
	}
	if builtIn, err := mapping.BuiltIn(c.Kind); err == nil && builtIn != nil {
		return builtIn.Decode
	}
	return mapping.AsJSON
}

// text returns a setting that is a text.
func (c *Config) text(name string) string {
	s, _ := c.Settings[name].(string)
	return s
}

// duration returns a setting that is a duration; 0 if it is not set.
func (c *Config) duration(name string) time.Duration {
	d, err := time.ParseDuration(cmp.Or(c.text(name), "0s"))
	if err != nil {
		return 0
	}
	return d
}
