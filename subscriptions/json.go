package subscriptions

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
)

// Settings is what an admin can set, as the API shows it; values of headers never.
type Settings struct {
	Name          string               `json:"name"`
	Description   string               `json:"description"`
	URL           string               `json:"url"`
	Events        []string             `json:"events"`
	Filter        *Filter              `json:"filter"` // null if there is no filter
	Masking       string               `json:"masking"`
	Encryption    string               `json:"encryption"`
	Ordering      string               `json:"ordering"`
	Supersede     bool                 `json:"supersede"`
	Headers       map[string]string    `json:"headers"` // values "***"
	TimeoutMs     int64                `json:"timeoutMs"`
	Retry         map[string]RetryView `json:"retry"`       // by class: cdr, live
	GiveUpAfter   map[string]string    `json:"giveUpAfter"` // by class
	MaxInFlight   int                  `json:"maxInFlight"`
	RatePerSecond *float64             `json:"ratePerSecond"` // null: no bound
	ExpiresAfter  *string              `json:"expiresAfter"`  // null: never
	StrictAck     bool                 `json:"strictAck"`
	State         string               `json:"state"`
	PausedReason  string               `json:"pausedReason,omitempty"`
}

// View is a subscription as the API shows it. Secrets are in it only after
// ShowSecrets.
type View struct {
	ID string `json:"id"`
	Settings
	Hold      *HoldView   `json:"hold"` // null: not held
	Breaker   BreakerView `json:"breaker"`
	Version   int64       `json:"version"`
	CreatedAt string      `json:"createdAt"` // RFC 3339, UTC, milliseconds
	UpdatedAt string      `json:"updatedAt"`

	AppKey        string `json:"appKey,omitempty"`
	SigningSecret string `json:"signingSecret,omitempty"` // appKey for Standard Webhooks libraries
	EncryptionKey string `json:"encryptionKey,omitempty"` // base64, or "from-appKey"
}

// RetryView is the plan for one class.
type RetryView struct {
	Schedule []string `json:"schedule"`
	Jitter   float64  `json:"jitter"`
}

// HoldView says until when a subscription waits, and why.
type HoldView struct {
	Until  string `json:"until"`
	Reason string `json:"reason"`
}

// BreakerView is the state of the circuit breaker.
type BreakerView struct {
	State string `json:"state"`           // closed, open, halfOpen
	Opens int    `json:"opens"`           // openings in a row
	Since string `json:"since,omitempty"` // of the last change
}

// View returns the subscription without hold and with a closed breaker. What its row
// says of hold and breaker is added by Held and Broken.
func (s *Subscription) View() View {
	return View{
		ID: s.ID, Settings: s.Settings(), Breaker: BreakerView{State: "closed"},
		Version: s.Version, CreatedAt: stamp(s.CreatedAt), UpdatedAt: stamp(s.UpdatedAt),
	}
}

// Settings returns what an admin set.
func (s *Subscription) Settings() Settings {
	v := Settings{
		Name: s.Name, Description: s.Description, URL: s.URL, Events: s.Events, Filter: s.Filter, Masking: s.Masking.String(),
		Encryption: s.Encryption, Ordering: s.Ordering, Supersede: s.Supersede, Headers: make(map[string]string,
			len(s.Headers)),
		TimeoutMs: s.Timeout.Milliseconds(), Retry: map[string]RetryView{}, GiveUpAfter: map[string]string{},
		MaxInFlight: s.MaxInFlight, StrictAck: s.StrictAck, State: s.State, PausedReason: s.PausedReason,
	}
	if s.RatePerSecond > 0 {
		v.RatePerSecond = &s.RatePerSecond
	}
	if s.ExpiresAfter > 0 {
		after := short(s.ExpiresAfter)
		v.ExpiresAfter = &after
	}
	for name := range s.Headers {
		v.Headers[name] = hidden
	}
	for class, r := range s.Retry {
		steps := make([]string, len(r.Schedule))
		for i, d := range r.Schedule {
			steps[i] = short(d)
		}
		v.Retry[class.String()] = RetryView{Schedule: steps, Jitter: r.Jitter}
	}
	for class, d := range s.GiveUpAfter {
		v.GiveUpAfter[class.String()] = short(d)
	}
	return v
}

// Held adds the hold of the subscription's row. until is Unix ms, or 0 if there is no
// hold.
func (v *View) Held(until int64, reason string) {
	if v.Hold = nil; until > 0 {
		v.Hold = &HoldView{Until: stamp(time.UnixMilli(until)), Reason: reason}
	}
}

// Broken adds the breaker of the subscription's row. since is Unix ms, or 0 if it never
// changed. An empty state means closed.
func (v *View) Broken(state string, opens int, since int64) {
	v.Breaker = BreakerView{State: state, Opens: opens}
	if state == "" {
		v.Breaker.State = "closed"
	}
	if since > 0 {
		v.Breaker.Since = stamp(time.UnixMilli(since))
	}
}

// ShowSecrets adds the newest key. It is for the one answer that may show it: after
// Create, and after a Patch that made a key.
func (v *View) ShowSecrets(s *Subscription) {
	if len(s.Keys) == 0 {
		return
	}
	k := s.Keys[len(s.Keys)-1]
	v.AppKey, v.SigningSecret = k.AppKey, signing.SigningSecret(k.AppKey)
	switch {
	case string(k.Encryption) == FromAppKey:
		v.EncryptionKey = FromAppKey
	case len(k.Encryption) > 0:
		v.EncryptionKey = base64.StdEncoding.EncodeToString(k.Encryption)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// short returns a duration without the zeros at its end: "2h", not "2h0m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// stored is what a version keeps: what a pause is about, and all that an admin can
// set except the keys, which have rows of their own.
type stored struct {
	Name         string                 `json:"name,omitempty"`
	Description  string                 `json:"description,omitempty"`
	URL          string                 `json:"url"`
	Events       []string               `json:"events"`
	Filter       *Filter                `json:"filter,omitempty"`
	Masking      string                 `json:"masking,omitempty"`
	Encryption   string                 `json:"encryption"`
	Ordering     string                 `json:"ordering"`
	Headers      map[string][]byte      `json:"headers,omitempty"` // values sealed
	TimeoutMs    int64                  `json:"timeoutMs"`
	Retry        map[string]storedRetry `json:"retry"`
	GiveUpAfter  map[string]int64       `json:"giveUpAfter"` // ms
	MaxInFlight  int                    `json:"maxInFlight"`
	State        string                 `json:"state"`
	PausedReason string                 `json:"pausedReason,omitempty"`

	RatePerSecond float64 `json:"ratePerSecond,omitempty"`
	ExpiresAfter  int64   `json:"expiresAfter,omitempty"` // ms
	Supersede     bool    `json:"supersede,omitempty"`
	StrictAck     bool    `json:"strictAck,omitempty"`
}

type storedRetry struct {
	Schedule []int64 `json:"schedule"` // ms
	Jitter   float64 `json:"jitter"`
}

// Fields returns the subscription for the store. The values of headers pass through
// seal. Numbers, ids, times and keys are not in it, because they have columns.
func (s *Subscription) Fields(seal func(plain []byte) []byte) ([]byte, error) {
	f := stored{
		Name: s.Name, Description: s.Description, URL: s.URL, Events: s.Events, Encryption: s.Encryption,
		Ordering: s.Ordering, TimeoutMs: s.Timeout.Milliseconds(), MaxInFlight: s.MaxInFlight,
		Retry: map[string]storedRetry{}, GiveUpAfter: map[string]int64{}, State: s.State, PausedReason: s.PausedReason,
		Filter: s.Filter, RatePerSecond: s.RatePerSecond, ExpiresAfter: s.ExpiresAfter.Milliseconds(), Supersede: s.Supersede,
		StrictAck: s.StrictAck,
	}
	if s.Masking != event.Unmasked {
		f.Masking = s.Masking.String()
	}
	if len(s.Headers) > 0 {
		f.Headers = make(map[string][]byte, len(s.Headers))
		for name, value := range s.Headers {
			f.Headers[name] = seal([]byte(value))
		}
	}
	for class, r := range s.Retry {
		steps := make([]int64, len(r.Schedule))
		for i, d := range r.Schedule {
			steps[i] = d.Milliseconds()
		}
		f.Retry[class.String()] = storedRetry{Schedule: steps, Jitter: r.Jitter}
	}
	for class, d := range s.GiveUpAfter {
		f.GiveUpAfter[class.String()] = d.Milliseconds()
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("fields of subscription %s: %w", s.ID, err)
	}
	return raw, nil
}

// SetFields fills in what Fields wrote. The values of headers pass through open.
// Values equal to the defaults are shared by all subscriptions that have them. It is
// for a Subscription that nobody else sees yet.
func (s *Subscription) SetFields(raw []byte, open func(sealed []byte) ([]byte, error)) error {
	var f stored
	if err := json.Unmarshal(raw, &f); err != nil {
		return fmt.Errorf("fields of subscription %s: %w", s.ID, err)
	}
	types, unknown := event.ParseMask(f.Events)
	if unknown != "" {
		return fmt.Errorf("fields of subscription %s: event type %q is unknown", s.ID, unknown)
	}
	s.Name, s.Description, s.URL = f.Name, f.Description, f.URL
	s.Events, s.Types = f.Events, types
	if slices.Equal(s.Events, everything) {
		s.Events = everything
	}
	s.Filter = f.Filter
	if s.Masking = event.Unmasked; f.Masking != "" {
		var ok bool
		if s.Masking, ok = event.ParseMasking(f.Masking); !ok {
			return fmt.Errorf("fields of subscription %s: masking %q is unknown", s.ID, f.Masking)
		}
	}
	s.Encryption = constant(f.Encryption, signing.None, signing.GCM, signing.CBC, signing.ECB)
	s.Ordering = constant(f.Ordering, OrderingKey, OrderingNone)
	s.State = constant(f.State, Active, Paused)
	s.PausedReason = constant(f.PausedReason, "", ByAdmin, ByGone, ByFailing)
	s.Timeout, s.MaxInFlight = time.Duration(f.TimeoutMs)*time.Millisecond, f.MaxInFlight
	s.RatePerSecond, s.ExpiresAfter = f.RatePerSecond, time.Duration(f.ExpiresAfter)*time.Millisecond
	s.Supersede, s.StrictAck = f.Supersede, f.StrictAck

	s.Headers = nil
	if len(f.Headers) > 0 {
		s.Headers = make(map[string]string, len(f.Headers))
	}
	for name, sealed := range f.Headers {
		value, err := open(sealed)
		if err != nil {
			return fmt.Errorf("header %s of subscription %s: %w", name, s.ID, err)
		}
		s.Headers[name] = string(value)
	}

	retry, after := maps.Clone(DefaultRetry), maps.Clone(DefaultGiveUp)
	for name, r := range f.Retry {
		if _, ok := classes[name]; !ok {
			return fmt.Errorf("fields of subscription %s: class %q is unknown", s.ID, name)
		}
		steps := make([]time.Duration, len(r.Schedule))
		for i, ms := range r.Schedule {
			steps[i] = time.Duration(ms) * time.Millisecond
		}
		retry[classes[name]] = Retry{Schedule: steps, Jitter: r.Jitter}
	}
	for name, ms := range f.GiveUpAfter {
		if _, ok := classes[name]; !ok {
			return fmt.Errorf("fields of subscription %s: class %q is unknown", s.ID, name)
		}
		after[classes[name]] = time.Duration(ms) * time.Millisecond
	}
	if s.Retry = retry; reflect.DeepEqual(retry, DefaultRetry) {
		s.Retry = DefaultRetry
	}
	if s.GiveUpAfter = after; maps.Equal(after, DefaultGiveUp) {
		s.GiveUpAfter = DefaultGiveUp
	}
	return nil
}

// constant returns the option that equals s, so that a hundred thousand subscriptions
// share its bytes; s itself if no option does.
func constant(s string, options ...string) string {
	if i := slices.Index(options, s); i >= 0 {
		return options[i]
	}
	return s
}
