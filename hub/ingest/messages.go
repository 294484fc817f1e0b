package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/time/rate"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
)

// Names of the metadata of a message, which are its properties at the broker. The UUID of
// the message is its message_id, "" when it has none; headers have their own names.
const (
	MetaRoutingKey  = "amqp.routing_key" // <companyId>.<type>
	MetaUser        = "amqp.user_id"     // who published it, as the broker checked; "" when it does not say
	MetaContentType = "amqp.content_type"
	MetaEncoding    = "amqp.content_encoding"
)

// Tenants finds tenants by their companyId; nil for an unknown one.
type Tenants interface {
	TenantOf(companyID string) *access.Tenant
}

// Messages is the way in from a broker. Set its fields before the first Take;
// zero values mean the defaults.
type Messages struct {
	Store    Store
	Tenants  Tenants
	Refresh  func(context.Context) error // reads the tenants that other processes made; nil: there are no others
	FromUser bool                        // the broker's user is the tenant, and the routing key must agree
	Room     func(tenant, n int64) bool  // reports whether a tenant's stored events may take n bytes more; nil: always
	Full     func(tenant int64) bool     // reports whether a tenant has too many pending deliveries; nil: never
	Rate     func(int64) *rate.Limiter   // of a tenant's events; nil: no bound
	Rejected func(tenant int64, n int)   // counts events that the store never sees, because they were refused; nil: nobody does
	Now      func() time.Time            // default time.Now
	Metrics  *Metrics                    // nil: nothing is counted
	Log      *slog.Logger                // default slog.Default()

	gz *gzip.Reader
}

// Refusal says why a message, or some events of it, can never be accepted.
type Refusal struct {
	event.Problem               // the first one
	Items         []RefusedItem // events that are refused; empty: the message as a whole
	Taken         int           // events that were stored now or before
	// Again is not 0 if only the tenant's rate is against the message: it may be taken after
	// this time. Until then it must not be overtaken by the tenant's later messages.
	Again time.Duration
}

// CodeRate is the code of a message whose tenant sends more events a second than it may.
const CodeRate = "rate"

// CodeQuota is the code of a message whose tenant's stored events take as many bytes as
// they may.
const CodeQuota = "quota"

// RefusedItem is an event of a message that is refused.
type RefusedItem struct {
	Index int    `json:"index"` // in the message, from 0
	ID    string `json:"id,omitempty"`
	*event.Problem
}

// Bounds of what is committed together. A message with more is committed alone.
const (
	takeEvents = 256
	takeBytes  = 4 << 20
)

// The shortest and longest pause between two tries while the store takes nothing, and how
// often one message is tried that the store fails to commit.
const (
	storeLeast, storeMost = 50 * time.Millisecond, 2 * time.Second
	storeTries            = 5
)

// Take stores the events of the messages, in order, and returns for each message nil or
// why it is refused. It returns when all are decided. While the store is away it waits,
// until ctx ends. Then it returns the error of ctx, and the decisions for the first
// messages. It is not for concurrent use.
func (m *Messages) Take(ctx context.Context, messages []*message.Message) ([]*Refusal, error) {
	decided := make([]*Refusal, 0, len(messages))
	var parts []*part
	events, size, fresh := 0, 0, false
	past := map[int64]time.Duration{}
	for i, msg := range messages {
		p, err := m.read(ctx, msg, &fresh, past)
		if err != nil {
			return decided, err
		}

		parts = append(parts, p)
		events += len(p.events)
		for _, e := range p.events {
			size += len(e.Body)
		}

		if events < takeEvents && size < takeBytes && i < len(messages)-1 {
			continue
		}

		// Enough is gathered, or this was the last message: commit, then decide.
		if err := m.store(ctx, parts); err != nil {
			return decided, err
		}
		for _, p := range parts {
			decided = append(decided, m.conclude(p))
		}
		parts, events, size = parts[:0], 0, 0
	}
	return decided, nil
}

// part is what one message asks the store for.
type part struct {
	tenant   int64          // 0: unknown
	whole    *event.Problem // why the message as a whole is refused
	items    []event.Item
	events   []*event.Event // of the items that passed
	verdicts []Verdict      // of the events
	tries    int
	again    time.Duration // after which the message may come again, because its tenant is past its rate
}

// read reads a message. fresh says whether the tenants were read again for this Take, and
// past for how long which tenants are past their rate: their messages must not overtake
// each other.
func (m *Messages) read(
	ctx context.Context, msg *message.Message, fresh *bool, past map[int64]time.Duration,
) (*part, error) {
	company, typ, no := m.address(msg.Metadata)
	if no != nil {
		return no, nil
	}

	tenant, err := m.tenant(ctx, company, fresh)
	if err != nil {
		return nil, err
	}

	switch {
	case tenant == nil:
		return refused("unknown_tenant", "no tenant has the companyId "+strconv.Quote(company)), nil
	case tenant.SuspendedAt != nil:
		return refused("tenant_suspended", "the tenant is suspended"), nil
	case m.Full != nil && m.Full(tenant.No):
		return refused("backlogged",
			"the tenant has as many pending deliveries as it may; its receivers are too slow or paused"), nil
	case m.Room != nil && !m.Room(tenant.No, 1):
		return pastQuotaMessage(), nil
	}

	// Whoever is past its rate already is not worth reading.
	again, isPast := past[tenant.No]
	if !isPast {
		again = m.spend(tenant.No, 1)
	}
	if again > 0 {
		past[tenant.No] = again
		return &part{again: again}, nil
	}

	hops, no := hopsOfMessage(msg)
	if no != nil {
		return no, nil
	}

	p := m.items(msg, event.Gate{CompanyID: tenant.CompanyID, Strict: tenant.Strict(), Type: typ, Now: m.Now})
	p.tenant = tenant.No

	// A message costs as much as its events, one at least.
	if again := m.spend(tenant.No, len(p.items)-1); again > 0 {
		past[tenant.No] = again
		return &part{again: again}, nil
	}

	var size int64
	trace := readTrace(header(msg, headerTrace))
	for i := range p.items {
		e := p.items[i].Event
		if e == nil {
			continue
		}
		if bad := identify(e, msg.UUID, i, len(p.items)); bad != nil {
			p.items[i].Event, p.items[i].Problem = nil, bad
			continue
		}
		e.Tenant, e.Source, e.Traceparent, e.Hops = tenant.No, "amqp", trace, hops
		p.events = append(p.events, e)
		size += int64(len(e.Body))
	}
	if m.Room != nil && size > 0 && !m.Room(tenant.No, size) {
		return pastQuotaMessage(), nil
	}
	return p, nil
}

func pastQuotaMessage() *part {
	return refused(CodeQuota, "the tenant's stored events take as many bytes as they may (limits.eventBytes)")
}

// pastLeast is the shortest time for which a message is told to wait, so that several
// then have their turn together.
const pastLeast = 20 * time.Millisecond

// spend takes n events from the tenant's rate. If there are not so many it takes none, and
// returns after how long there are.
func (m *Messages) spend(tenant int64, n int) time.Duration {
	if m.Rate == nil || n <= 0 {
		return 0
	}
	now := time.Now()
	if m.Now != nil {
		now = m.Now()
	}
	limiter := m.Rate(tenant)
	if limiter.AllowN(now, n) {
		return 0
	}
	missing := float64(n) - limiter.TokensAt(now)
	return max(pastLeast, time.Duration(missing/float64(limiter.Limit())*float64(time.Second)))
}

// refused is the part of a message that is refused as a whole.
func refused(code, text string) *part {
	return &part{whole: &event.Problem{Code: code, Message: text, Status: http.StatusUnprocessableEntity}}
}

// hopsOfMessage reads how many hubs the message came through.
func hopsOfMessage(msg *message.Message) (int, *part) {
	hops, bad := readHops(header(msg, headerHops))
	if bad != nil {
		return 0, refused(bad.Code, headerHops+" "+bad.Message)
	}
	return hops, nil
}

// header returns a header by its name, in any case: brokers keep what the sender wrote.
func header(msg *message.Message, name string) string {
	if v, ok := msg.Metadata[name]; ok {
		return v
	}
	for k, v := range msg.Metadata {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// address reads the routing key: whose message it is, and the type of its events, or 0
// when the events say their own types.
func (m *Messages) address(meta message.Metadata) (companyID string, t event.Type, no *part) {
	key := meta[MetaRoutingKey]
	companyID, name, _ := strings.Cut(key, ".")

	if user := meta[MetaUser]; m.FromUser && user != companyID {
		if user == "" {
			return "", 0, refused("wrong_user", "the message does not say who published it: its property user_id must be set")
		}
		return "", 0, refused("wrong_user",
			"the routing key begins with another companyId than the user's, "+strconv.Quote(shorten(user)))
	}

	if !access.ValidCompanyID(companyID) {
		return "", 0, refused("routing_key", "the routing key must be <companyId>.<type>, not "+strconv.Quote(shorten(key)))
	}

	if t, _ = event.ParseType(name); t.Internal() {
		return "", 0, refused("internal_type", "only the hub itself makes events of the routing key's type")
	}
	return companyID, t, nil
}

// shorten cuts a text of a message that is repeated in a refusal.
func shorten(s string) string { return strings.ToValidUTF8(s[:min(len(s), 80)], "") }

// tenant returns the tenant with a companyId; nil when there is none. Before it says so, it
// reads what other processes changed, once for all messages of a Take.
func (m *Messages) tenant(ctx context.Context, companyID string, fresh *bool) (*access.Tenant, error) {
	for wait := storeLeast; ; wait = min(2*wait, storeMost) {
		if t := m.Tenants.TenantOf(companyID); t != nil || *fresh || m.Refresh == nil {
			return t, nil
		}
		err := m.Refresh(ctx)
		if err == nil {
			*fresh = true
			continue
		}

		m.log().WarnContext(ctx, "look for the tenant of a message", "err", err)
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// items splits a message into items, each as the gate reads it.
func (m *Messages) items(msg *message.Message, g event.Gate) *part {
	f, ok := formatOf(msg.Metadata[MetaContentType])
	if !ok {
		return refused("content_type", "content_type must be application/json or application/x-ndjson")
	}

	body, bad := m.body(msg.Payload, msg.Metadata[MetaEncoding])
	if bad != nil {
		return &part{whole: bad}
	}

	q := request{body: body}
	if details := q.split(g, 0, f); details != nil {
		return &part{whole: &event.Problem{Code: codeOf(details.Status), Message: details.Detail, Status: details.Status}}
	}
	return &part{items: q.items}
}

// codeOf returns the code of a problem with the body as a whole.
func codeOf(status int) string {
	if status == http.StatusRequestEntityTooLarge {
		return "too_large"
	}
	return "malformed"
}

// body returns the body of a message, decompressed.
func (m *Messages) body(raw []byte, encoding string) ([]byte, *event.Problem) {
	tooLarge := &event.Problem{
		Code:    "too_large",
		Message: "a message has at most " + strconv.Itoa(MaxRequest) + " bytes, before and after decompression",
		Status:  http.StatusRequestEntityTooLarge,
	}

	if len(raw) > MaxRequest {
		return nil, tooLarge
	}

	switch codingOf(encoding) {
	case "": // Spring and Celery write the character set there
		return raw, nil
	case "gzip":
	default:
		return nil, &event.Problem{
			Code: "content_encoding", Message: "content_encoding must be gzip, identity or absent",
			Status: http.StatusUnsupportedMediaType,
		}
	}

	text, err := m.unzip(raw)
	switch {
	case err != nil:
		return nil, &event.Problem{
			Code: "malformed", Message: "the body is not gzip, or it ends too early", Status: http.StatusBadRequest,
		}
	case len(text) > MaxRequest:
		return nil, tooLarge
	}
	return text, nil
}

// unzip decompresses a body, but stops past MaxRequest.
func (m *Messages) unzip(raw []byte) ([]byte, error) {
	var err error
	if m.gz == nil {
		m.gz, err = gzip.NewReader(bytes.NewReader(raw)) // nil with an error
	} else {
		err = m.gz.Reset(bytes.NewReader(raw))
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(m.gz, MaxRequest+1))
}

// identify gives an event without an id one made of the message's id. If the message has
// several events, the id ends in the event's place in it. If the message has no id, the
// event gets a random one here, so that storing it can be tried again without storing it
// twice.
func identify(e *event.Event, messageID string, i, of int) *event.Problem {
	if e.ID != "" {
		return nil
	}

	if messageID == "" {
		e.ID = "amqp-" + uuid.NewString()
		return nil
	}

	id := messageID
	if of > 1 {
		id += ":" + strconv.Itoa(i)
	}

	if !event.ValidID([]byte(id)) {
		return &event.Problem{
			Code: "invalid_id", Message: "message_id must have 1 to 128 of A-Z a-z 0-9 . _ : -",
			Status: http.StatusUnprocessableEntity,
		}
	}
	e.ID = id
	return nil
}

// store stores the events of parts together. When that fails it stores the halves, until
// it has found the message that cannot be stored.
func (m *Messages) store(ctx context.Context, parts []*part) error {
	var events []*event.Event
	for _, p := range parts {
		events = append(events, p.events...)
	}
	if len(events) == 0 {
		return nil
	}

	for wait := storeLeast; ; wait = min(2*wait, storeMost) {
		verdicts, err := m.Store.Accept(ctx, events)
		if err == nil {
			for _, p := range parts {
				p.verdicts, verdicts = verdicts[:len(p.events)], verdicts[len(p.events):]
			}
			return nil
		}

		if ctx.Err() != nil {
			return ctx.Err()
		}

		if !errors.Is(err, ErrBusy) {
			m.log().ErrorContext(ctx, "store messages", "events", len(events), "err", err)
			if len(parts) > 1 {
				if err := m.store(ctx, parts[:len(parts)/2]); err != nil {
					return err
				}
				return m.store(ctx, parts[len(parts)/2:])
			}
			parts[0].tries++
			if parts[0].tries == storeTries {
				*parts[0] = *refused("not_stored", "the hub could not store it; its log says why")
				return nil
			}
		}

		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// conclude returns why a message is refused; nil when all its events were taken.
func (m *Messages) conclude(p *part) *Refusal {
	if p.whole != nil {
		m.Metrics.result(Rejected, nil)
		m.countRejected(p, 1)
		return &Refusal{Problem: *p.whole}
	}

	if p.again > 0 {
		return &Refusal{
			Problem: event.Problem{
				Code: CodeRate, Message: "more events a second than this tenant may send", Status: http.StatusTooManyRequests,
			},
			Again: p.again,
		}
	}

	var r Refusal
	refused := 0
	for i := range p.items {
		it := &p.items[i]
		if it.Event == nil { // the store counts those that it refused itself
			refused++
		} else {
			verdict := p.verdicts[0]
			p.verdicts = p.verdicts[1:]
			switch verdict {
			case Stored:
				m.Metrics.result(Accepted, it.Event.Warnings)
			case Known:
				m.Metrics.result(Duplicate, nil)
			default:
				it.ID, it.Problem = it.Event.ID, idConflict()
			}
		}

		if it.Problem == nil {
			r.Taken++
			continue
		}
		m.Metrics.result(Rejected, nil)
		r.Items = append(r.Items, RefusedItem{i, it.ID, it.Problem})
	}

	m.countRejected(p, refused)
	if len(r.Items) == 0 {
		return nil
	}
	r.Problem = *r.Items[0].Problem
	return &r
}

// countRejected counts events of a message that were refused, if its tenant is known.
func (m *Messages) countRejected(p *part, n int) {
	if m.Rejected != nil && p.tenant != 0 && n > 0 {
		m.Rejected(p.tenant, n)
	}
}

func (m *Messages) log() *slog.Logger { return cmp.Or(m.Log, slog.Default()) }
