package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/source/mapping"
)

// Status of an input. The numbers are stored.
type Status int

// An input is Held until it is mapped; nothing came of one that is Ignored; a Rejected one could
// not be mapped, or was not signed right.
const (
	Held Status = iota
	Mapped
	Ignored
	Rejected
)

// Statuses are the names of statuses, in their order.
var Statuses = []string{"held", "mapped", "ignored", "rejected"}

func (s Status) String() string { return Statuses[s] }

// StatusOf returns the status with a name.
func StatusOf(name string) (Status, bool) {
	i := slices.Index(Statuses, name)
	return Status(max(i, 0)), i >= 0
}

// ReasonSignature begins the reasons of inputs that were not signed right.
const ReasonSignature = "signature: "

// Meta is what is kept of a request beside its body.
type Meta struct {
	Headers map[string]string `json:"headers,omitempty"` // names in lower case
	Query   string            `json:"query,omitempty"`
	Rest    string            `json:"rest,omitempty"`
	Method  string            `json:"method,omitempty"`
}

// NewInput is a message that is to be kept.
type NewInput struct {
	Source     int64
	Dedupe     []byte // nil: it is never the same as another
	ReceivedAt int64  // Unix ms
	Meta       string // JSON of a Meta
	Body       []byte
	Unsigned   string // why it is rejected at once; "": it is held
}

// Errors of a store of inputs.
var (
	// ErrFull says that a source has as many inputs that are not mapped yet as it may.
	ErrFull = errors.New("the source has too many inputs that are not mapped yet")
	// ErrBehind says that inputs were mapped by somebody else.
	ErrBehind = errors.New("the inputs were mapped by another process")
)

// InputStore keeps inputs.
type InputStore interface {
	// AddInputs commits the messages of one request, all or none. One whose Dedupe its source
	// has already is left out. ErrFull, ingest.ErrBusy. Of messages that are Unsigned at most
	// UnsignedPerHour of a source are kept in an hour.
	AddInputs(ctx context.Context, inputs []NewInput) error
}

// Bounds of what is kept of inputs that were not signed right.
const (
	UnsignedPerHour = 100
	UnsignedBytes   = 4 << 10
)

// Bounds of what else is kept of a request.
const (
	maxHeaders = 4 << 10 // bytes
	maxQuery   = 4 << 10
	maxRest    = 1 << 10
)

// Inbox takes inputs: it is /v1/in/{token}. Set its fields before the first request.
type Inbox struct {
	Book    *Book
	Store   InputStore
	Tenants *access.Book
	Admit   func(tenant int64) *problem.Details // refuses requests of a tenant past its limits
	Bodies  *fair.Budget[int64]
	Parsers *fair.Slots[int64]
	Held    func(source int64) // called after a commit that holds inputs; must not block
	Metrics *Metrics           // nil: nothing is counted

	PublicURL string           // HOOKLINE_PUBLIC_URL
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default slog.Default()

	unsigned unsigned
}

func (b *Inbox) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// ServeHTTP takes one request of a platform.
func (b *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, refused := b.take(r)
	if refused != nil {
		problem.Write(w, *refused)
		return
	}

	// Webhooks of CloudEvents ask first whether they are welcome.
	if r.Method == http.MethodOptions {
		if origin := r.Header.Get("Webhook-Request-Origin"); origin != "" {
			w.Header().Set("WebHook-Allowed-Origin", origin)
			w.Header().Set("WebHook-Allowed-Rate", "*")
		}
		w.Header().Set("Allow", "GET, HEAD, OPTIONS, POST, PUT")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	if a.typ != "" && a.body != "" {
		w.Header().Set("Content-Type", a.typ)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // fails if the platform went away
}

// take does everything but the answer.
func (b *Inbox) take(r *http.Request) (answer, *problem.Details) {
	token, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Path), "/")
	s := b.Book.ByToken(token, b.now())
	if s == nil {
		return answer{}, problem.New(http.StatusNotFound, "there is nothing at this path")
	}
	tenant := b.Tenants.Tenant(s.Tenant)
	if tenant == nil || tenant.SuspendedAt != nil {
		return answer{}, problem.New(http.StatusForbidden, "the tenant is suspended")
	}

	x := fair.Of(r.Context())
	x.Stream()
	if err := x.Know(s.Tenant); err != nil {
		return answer{}, b.failed(r, s, err)
	}
	probe := r.Method == http.MethodHead || r.Method == http.MethodOptions ||
		r.Method == http.MethodGet && r.URL.RawQuery == ""
	if probe {
		return answer{status: http.StatusOK}, nil
	}
	if refused := b.Admit(s.Tenant); refused != nil {
		return answer{}, refused
	}

	body, free, refused := ingest.ReadBody(r, s.Tenant, b.Bodies)
	defer free()
	if refused != nil {
		return answer{}, refused
	}
	return b.keep(r, s, rest, body)
}

// keep checks who signed a request, and commits its messages.
func (b *Inbox) keep(r *http.Request, s *Source, rest string, body []byte) (answer, *problem.Details) {
	now := b.now()
	meta := metaOf(r, s, rest)
	if err := s.Auth.verify(signed{
		header: r.Header, query: r.URL.RawQuery, body: body, now: now, url: b.PublicURL + r.URL.EscapedPath(),
	}); err != nil {
		b.Metrics.count(s.Kind, "rejected", "signature", 1)
		b.keepUnsigned(r, s, meta, body, err, now)
		return answer{}, problem.New(http.StatusUnauthorized, "the input is not signed right: "+err.Error())
	}

	// Take the messages apart. What cannot be read at all is kept too, and will be rejected.
	parts, refused := b.split(r, s, mapping.Input{Body: body, Headers: meta.Headers})
	if refused != nil {
		return answer{}, refused
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return answer{}, b.failed(r, s, err)
	}
	inputs := make([]NewInput, len(parts))
	for i, p := range parts {
		inputs[i] = NewInput{
			Source: s.No, ReceivedAt: now.UnixMilli(), Meta: string(text), Body: p.Body,
			Dedupe: s.dedupe(p, r, len(parts), i),
		}
	}

	if len(inputs) > 0 {
		if err := b.Store.AddInputs(r.Context(), inputs); err != nil {
			return answer{}, b.failed(r, s, err)
		}
		b.Held(s.No)
	}
	return KindOf(s.Kind).answer(&s.Config, r, body, now), nil
}

// parseAlone is the size up to which a body is taken apart without a place.
const parseAlone = 64 << 10

func (b *Inbox) split(r *http.Request, s *Source, in mapping.Input) ([]mapping.Part, *problem.Details) {
	if len(in.Body) > parseAlone && b.Parsers != nil {
		place, err := b.Parsers.Take(r.Context(), s.Tenant, 0)
		if err != nil {
			return nil, b.failed(r, s, err)
		}
		defer place.Free()
	}
	parts, err := mapping.Split(s.format(), in)
	switch {
	case errors.Is(err, mapping.ErrTooMany):
		return nil, problem.New(http.StatusRequestEntityTooLarge, err.Error())
	case err != nil:
		return []mapping.Part{{Body: in.Body}}, nil
	}
	return parts, nil
}

// keepUnsigned keeps an input that was not signed right, so that people see it. Neither memory
// nor disk grow by a flood of them.
func (b *Inbox) keepUnsigned(r *http.Request, s *Source, meta Meta, body []byte, why error, now time.Time) {
	if !b.unsigned.allow(s.No, now) {
		return
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return
	}
	in := NewInput{
		Source: s.No, ReceivedAt: now.UnixMilli(), Meta: string(text), Body: body[:min(len(body), UnsignedBytes)],
		Unsigned: ReasonSignature + why.Error(),
	}
	if err := b.Store.AddInputs(r.Context(), []NewInput{in}); err != nil {
		b.log().WarnContext(r.Context(), "an input with a wrong signature is not kept", "source", s.ID, "err", err)
	}
}

// unsigned counts inputs with wrong signatures, so that a flood of them does not reach the
// store. The store counts too, for all processes.
type unsigned struct {
	mu   sync.Mutex
	hour int64
	kept map[int64]int
}

func (u *unsigned) allow(source int64, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if hour := now.Unix() / 3600; hour != u.hour || u.kept == nil {
		u.hour = hour
		u.kept = map[int64]int{}
	}
	u.kept[source]++
	return u.kept[source] <= UnsignedPerHour
}

// keptHeaders are the headers that mappings may look at. None of them is a credential.
var keptHeaders = []string{
	"content-type", "user-agent", "idempotency-key", "webhook-id", "webhook-timestamp", "x-request-id", "x-github-event",
	"x-hook-id", "x-account-id", "x-chatwoot-delivery", "x-amz-firehose-request-id", "x-amz-sns-message-type",
	"i-twilio-idempotency-token",
}

// metaOf returns what is kept of a request.
func metaOf(r *http.Request, s *Source, rest string) Meta {
	m := Meta{Headers: map[string]string{}, Rest: cut(rest, maxRest), Query: cut(r.URL.RawQuery, maxQuery), Method: r.Method}
	size := 0
	keep := func(name, value string) {
		if size += len(name) + len(value); size <= maxHeaders {
			m.Headers[name] = strings.ToValidUTF8(value, "�")
		}
	}
	for _, name := range keptHeaders {
		if v := r.Header.Get(name); v != "" {
			keep(name, v)
		}
	}
	if how, name, _ := strings.Cut(s.text("dedupe"), ":"); how == "header" && !strings.EqualFold(name, "authorization") {
		keep(strings.ToLower(name), r.Header.Get(name))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "ce-") {
			keep(lower, r.Header.Get(name))
		}
	}
	return m
}

func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "�") }

// dedupe returns what tells a message from all others of its source; nil if nothing does.
func (c *Config) dedupe(p mapping.Part, r *http.Request, parts, i int) []byte {
	var what string
	how, name, _ := strings.Cut(c.text("dedupe"), ":")
	switch {
	case how == "body":
		sum := sha256.Sum256(p.Body)
		return sum[:]
	case how == "header":
		what = r.Header.Get(name)
	case how == "query":
		if q, err := url.ParseQuery(r.URL.RawQuery); err == nil {
			what = q.Get(name)
		}
	case p.Key != "":
		sum := sha256.Sum256([]byte("key\x00" + p.Key))
		return sum[:]
	default:
		what = c.kindKey(p.Body, r.Header)
		i = 0
	}
	if what == "" {
		return nil
	}

	// The messages of one request share its headers and its query.
	h := sha256.New()
	h.Write([]byte(what))
	if parts > 1 && i > 0 {
		h.Write([]byte{0, byte(i), byte(i >> 8)})
	}
	return h.Sum(nil)
}

// kindKey returns what a kind knows a message by; "" if by nothing.
func (c *Config) kindKey(body []byte, header http.Header) string {
	var v struct {
		ID     string `json:"id"`
		Source string `json:"source"`
	}

	switch c.Kind {
	case "cloudevents":
		if id, from := header.Get("Ce-Id"), header.Get("Ce-Source"); id != "" {
			return from + "\x00" + id
		}
		if json.Unmarshal(body, &v) == nil && v.ID != "" {
			return v.Source + "\x00" + v.ID
		}
	case "eventbridge", "amazon-connect":
		if json.Unmarshal(body, &v) == nil {
			return v.ID
		}
	case "chatwoot":
		return header.Get("X-Chatwoot-Delivery")
	case "twilio":
		if bytes.Count(body, []byte("&")) >= maxTwilioFields {
			return ""
		}
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("CallSid") != "" {
			return form.Get("CallSid") + "\x00" + form.Get("SequenceNumber") + "\x00" + form.Get("CallStatus")
		}
	case "freeswitch", "kamailio":
		// A leg whose record was changed has the same id and another body: it is a correction.
		return string(body)
	}

	return ""
}

// failed answers an error of the store, which stored nothing.
func (b *Inbox) failed(r *http.Request, s *Source, err error) *problem.Details {
	var full *fair.Full
	switch {
	case errors.As(err, &full):
		return &problem.Details{Status: full.Status(), Detail: full.Error() + "; nothing was taken", RetryAfter: full.After}
	case errors.Is(err, ErrFull):
		return &problem.Details{
			Status: http.StatusServiceUnavailable, Detail: ErrFull.Error() + "; nothing was taken", RetryAfter: 10 * time.Second,
		}
	case errors.Is(err, ingest.ErrBusy):
		return &problem.Details{
			Status: http.StatusServiceUnavailable, Detail: "the hub is full, nothing was taken", RetryAfter: time.Second,
		}
	case r.Context().Err() != nil:
		return problem.New(http.StatusServiceUnavailable, "the request was given up")
	}
	b.log().ErrorContext(r.Context(), "take an input", "source", s.ID, "err", err)
	return problem.New(http.StatusInternalServerError, "the hub could not store the input; its log says why")
}

func (b *Inbox) log() *slog.Logger { return cmp.Or(b.Log, slog.Default()) }
