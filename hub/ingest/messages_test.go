package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
)

// enterprises by their companyId.
type enterprises map[string]*access.Tenant

func (e enterprises) TenantOf(companyID string) *access.Tenant { return e[companyID] }

func known() enterprises {
	return enterprises{
		"acme-1": {No: 7, CompanyID: "acme-1"},
		"strict": {No: 8, CompanyID: "strict", Settings: map[string]any{"validation": "strict"}},
		"gone":   {No: 9, CompanyID: "gone", SuspendedAt: &time.Time{}},
		"slow":   {No: 10, CompanyID: "slow"},
		"large":  {No: 11, CompanyID: "large"},
	}
}

func taker(s Store) *Messages {
	return &Messages{
		Store: s, Tenants: known(), Full: func(tenant int64) bool { return tenant == 10 },
		Room: func(tenant, n int64) bool { return tenant != 11 || n < 3000 }, Log: slog.New(slog.DiscardHandler),
	}
}

// msg with an id, a routing key, a body and metadata in pairs.
func msg(id, key, body string, meta ...string) *message.Message {
	m := message.NewMessage(id, []byte(body))
	m.Metadata = message.Metadata{MetaRoutingKey: key, MetaUser: "", MetaContentType: "", MetaEncoding: ""}
	for i := 0; i+1 < len(meta); i += 2 {
		m.Metadata[meta[i]] = meta[i+1]
	}
	return m
}

// codes of refusals; "": taken.
func codes(rs []*Refusal) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		if r != nil {
			out[i] = r.Code
		}
	}
	return out
}

const ring = `{"callID":"c","n":1}`

// anon is an envelope without id.
func anon(call string) string { return `{"type":"call.held","data":{"callID":"` + call + `"}}` }

func TestMessagesAreTaken(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s := &shelf{}
	refused, err := taker(s).Take(t.Context(), []*message.Message{
		msg("m1", "acme-1.call.held", ring, "TraceParent", trace, "x-hookline-hops", "3"),
		msg("m2", "acme-1.EventHeld", held("own", "c")),
		msg("m3", "acme-1", "["+anon("c")+","+anon("d")+"]"),
		msg("m1", "acme-1.call.held", ring),
		msg("", "acme-1.call.held", ring),
		msg("m4", "acme-1.call.held", anon("c")+"\n"+anon("d"), MetaContentType, "application/x-ndjson"),
		msg("m5", "acme-1.call.held", zip(t, ring), MetaEncoding, "GZIP"),
		msg("m6", "acme-1.call.held", zip(t, ring), MetaEncoding, "x-gzip"),
		msg("m7", "acme-1.call.held", ring, MetaEncoding, "binary"),
		msg("m8", "acme-1.call.held", ring, MetaEncoding, "ISO-8859-1"),
		msg("m9", "acme-1.call.held", "\xef\xbb\xbf"+ring),
		msg("m10", "acme-1.call.held", zip(t, "\xef\xbb\xbf"+ring+"\n"), MetaEncoding, "gzip", MetaContentType,
			"application/x-ndjson"),
	})
	require.NoError(t, err)
	require.Equal(t, make([]string, 12), codes(refused))
	var ids []string
	for _, e := range s.events {
		require.Equal(t, []any{int64(7), "acme-1", "", "amqp"}, []any{e.Tenant, e.CompanyID, e.KeyID, e.Source})
		ids = append(ids, e.ID)
	}
	require.True(t, strings.HasPrefix(ids[4], "amqp-"), "made once, so that a second try is the same event")
	ids[4] = ""
	require.Equal(t, []string{"m1", "own", "m3:0", "m3:1", "", "m4:0", "m4:1", "m5", "m6", "m7", "m8", "m9", "m10"}, ids)
	require.Equal(t, []any{trace, 3}, []any{s.events[0].Traceparent, s.events[0].Hops})
}

func TestMessagesAreRefused(t *testing.T) {
	long := strings.Repeat("x", 130)
	for _, c := range []struct {
		code string
		m    *message.Message
	}{
		{"unknown_tenant", msg("", "nobody.call.held", ring)},
		{"tenant_suspended", msg("", "gone.call.held", ring)},
		{"backlogged", msg("", "slow.call.held", ring)},
		{CodeQuota, msg("", "large.call.held", `{"callID":"c","n":"`+strings.Repeat("1", 3000)+`"}`)},
		{"routing_key", msg("", "", ring)},
		{"routing_key", msg("", ".call.held", ring)},
		{"routing_key", msg("", "acme_1.call.held", ring)},
		{"missing", msg("", "acme-1.call.flown", ring)},
		{"internal_type", msg("", "acme-1.hub.test", ring)},
		{"type_mismatch", msg("", "acme-1.call.ringing", anon("c"))},
		{"type_mismatch", msg("", "acme-1.call.ringing", `{"messageID":"EventHeld","callID":"c"}`)},
		{"foreign_company", msg("", "acme-1.call.held", `{"companyId":"strict","callID":"c"}`)},
		{"end_before_start", msg("", "strict.cdr.call", `{"callID":"c","startTime":1637068256419,"endTime":1637068256418}`)},
		{"invalid_id", msg(long, "acme-1.call.held", ring)},
		{"invalid_id", msg(long[:127], "acme-1.call.held", "["+anon("c")+","+anon("d")+"]")},
		{"wrong_type", msg("", "acme-1.call.held", ring, "X-Hookline-Hops", "many")},
		{"loop", msg("", "acme-1.call.held", ring, "X-Hookline-Hops", "9")},
		{"content_type", msg("", "acme-1.call.held", ring, MetaContentType, "text/xml")},
		{"content_encoding", msg("", "acme-1.call.held", ring, MetaEncoding, "br")},
		{"malformed", msg("", "acme-1.call.held", ring, MetaEncoding, "gzip")},
		{"malformed", msg("", "acme-1.call.held", zip(t, ring)[:20], MetaEncoding, "gzip")},
		{"too_large", msg("", "acme-1.call.held", zip(t, strings.Repeat(" ", MaxRequest+1)), MetaEncoding, "gzip")},
		{"too_large", msg("", "acme-1.call.held", strings.Repeat(" ", MaxRequest+1))},
		{"malformed", msg("", "acme-1.call.held", "")},
		{"malformed", msg("", "acme-1.call.held", "[1")},
		{"malformed_json", msg("", "acme-1.call.held", "{")},
	} {
		s := &shelf{}
		refused, err := taker(s).Take(t.Context(),
			[]*message.Message{msg("a", "acme-1.call.held", ring), c.m, msg("b", "acme-1.call.held", ring)})
		require.NoError(t, err)
		require.Equal(t, []string{"", c.code, ""}, codes(refused), "%.80s", c.m.Payload)
		require.NotEmpty(t, refused[1].Message)
		require.Zero(t, refused[1].Taken)
		require.Len(t, s.events, 2, "the rest is taken")
	}

	s := &shelf{}
	refused, err := taker(s).Take(t.Context(), []*message.Message{
		msg("m", "acme-1.call.held", "["+held("a", "1")+",7,"+held("a", "2")+"]"),
	})
	require.NoError(t, err)
	r := refused[0]
	require.Equal(t, []any{"wrong_type", 1}, []any{r.Code, r.Taken})
	require.Equal(t, []any{1, "", "wrong_type", 2, "a", "id_conflict"}, []any{
		r.Items[0].Index, r.Items[0].ID, r.Items[0].Code, r.Items[1].Index, r.Items[1].ID, r.Items[1].Code,
	})
}

// With FromUser the broker's user is the tenant, whatever the routing key says.
func TestTenantIsTheUser(t *testing.T) {
	m := taker(&shelf{})
	m.FromUser = true
	refused, err := m.Take(t.Context(), []*message.Message{
		msg("a", "acme-1.call.held", ring, MetaUser, "acme-1"),
		msg("b", "acme-1.call.held", ring, MetaUser, "strict"),
		msg("c", "acme-1.call.held", ring),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"", "wrong_user", "wrong_user"}, codes(refused))
}

// A tenant that another process just made is known once what that changed was read.
func TestTenantOfAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, asked := known(), 0
		m := &Messages{
			Store: &shelf{}, Tenants: all, Log: slog.New(slog.DiscardHandler),
			Refresh: func(context.Context) error {
				if asked++; asked == 1 {
					return errors.New("the store is away")
				}
				all["new"] = &access.Tenant{No: 11, CompanyID: "new"}
				return nil
			},
		}
		refused, err := m.Take(t.Context(), []*message.Message{
			msg("a", "new.call.held", ring), msg("b", "nobody.call.held", ring), msg("c", "noone.call.held", ring),
		})
		require.NoError(t, err)
		require.Equal(t, []string{"", "unknown_tenant", "unknown_tenant"}, codes(refused))
		require.Equal(t, 2, asked, "once for all of a batch")
	})
}

// picky stores all but some events, and is away for its first calls.
type picky struct {
	shelf
	busy  int
	bad   string // id of an event that fails
	calls []int  // events of each
}

func (p *picky) Accept(ctx context.Context, events []*event.Event) ([]Verdict, error) {
	if p.busy > 0 {
		p.busy--
		return nil, fmt.Errorf("away: %w", ErrBusy)
	}
	p.calls = append(p.calls, len(events))
	if slices.ContainsFunc(events, func(e *event.Event) bool { return e.ID == p.bad }) {
		return nil, errors.New("bad row")
	}
	return p.shelf.Accept(ctx, events)
}

// While the store is away messages wait. One that it cannot store does not take
// those with it that came together with it.
func TestStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &picky{busy: 30, bad: "m2"}
		var messages []*message.Message
		for i := range 5 {
			messages = append(messages, msg(fmt.Sprint("m", i), "acme-1.call.held", ring))
		}
		began := time.Now()
		refused, err := taker(s).Take(t.Context(), messages)
		require.NoError(t, err)
		require.Equal(t, []string{"", "", "not_stored", "", ""}, codes(refused))
		require.Greater(t, time.Since(began), 30*time.Second)
		var ids []string
		for _, e := range s.events {
			ids = append(ids, e.ID)
		}
		require.Equal(t, []string{"m0", "m1", "m3", "m4"}, ids, "in order")

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.busy = 1 << 30
		refused, err = taker(s).Take(ctx, messages)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, refused)
	})
}

// What is committed together is bounded, also when one message has many events.
func TestMessagesInBatches(t *testing.T) {
	s := &picky{}
	var messages []*message.Message
	for i := range 300 {
		messages = append(messages, msg(fmt.Sprint("m", i), "acme-1.call.held", ring))
	}
	big := strings.Repeat("x", 200<<10)
	for i := range 30 {
		messages = append(messages, msg(fmt.Sprint("b", i), "acme-1.call.held", `{"callID":"c","x":"`+big+`"}`))
	}
	many := "[" + strings.Repeat(anon("c")+",", 999) + anon("c") + "]"
	messages = append(messages, msg("many", "acme-1", many), msg("last", "acme-1.call.held", ring))
	refused, err := taker(s).Take(t.Context(), messages)
	require.NoError(t, err)
	require.Len(t, refused, len(messages))
	require.Equal(t, []int{256, 44 + 21, 9 + 1000, 1}, s.calls)
}

func FuzzMessages(f *testing.F) {
	f.Add("m", "acme-1.call.held", []byte(ring), "", "", "")
	f.Add("", "acme-1", []byte("["+held("a", "1")+",{}]"), "application/json", "identity", "3")
	f.Add("m", "strict.cdr.call", []byte(zip(f, ring)), "application/x-ndjson", "gzip", "-1")
	f.Fuzz(func(t *testing.T, id, key string, body []byte, contentType, encoding, hops string) {
		s := &shelf{}
		refused, err := taker(s).Take(t.Context(), []*message.Message{
			msg(id, key, string(body), MetaContentType, contentType, MetaEncoding, encoding, headerHops, hops),
		})
		require.NoError(t, err)
		require.Len(t, refused, 1)
		if r := refused[0]; r == nil {
			require.NotEmpty(t, s.events)
		} else {
			require.NotEmpty(t, r.Code)
			require.NotEmpty(t, r.Message)
			require.Len(t, s.events, r.Taken)
		}
		for _, e := range s.events {
			require.True(t, event.ValidID([]byte(e.ID)))
			require.Contains(t, key, e.CompanyID)
		}
	})
}

// Messages of a tenant past its rate wait, in their order, and nobody else's do. What is
// no event costs one, too.
func TestMessagesPastTheRate(t *testing.T) {
	now := time.UnixMilli(1637068256419)
	s := &shelf{}
	h := &Handler{Limit: func(int64) int { return 1000 }, Now: func() time.Time { return now }}
	k := taker(s)
	k.Rate = h.Rate
	k.Now = h.Now
	many := "[" + strings.Repeat(anon("c")+",", 997) + anon("c") + "]"
	three := "[" + strings.Repeat(anon("c")+",", 2) + anon("c") + "]"
	take := func(messages ...*message.Message) []*Refusal {
		decided, err := k.Take(t.Context(), messages)
		require.NoError(t, err)
		require.Len(t, decided, len(messages))
		return decided
	}

	// 1,000 at once: 998, one that is refused, and one more.
	decided := take(msg("a", "acme-1", many), msg("b", "acme-1", "{"), msg("c", "acme-1", anon("c")),
		msg("d", "acme-1", three), msg("e", "acme-1", anon("c")), msg("f", "strict", anon("c")))
	require.Equal(t, []string{"", "malformed_json", "", CodeRate, CodeRate, ""}, codes(decided))
	require.Positive(t, decided[3].Again)
	require.Equal(t, decided[3].Again, decided[4].Again, "it waits behind the one before")
	require.Zero(t, decided[1].Again)

	// Requests by HTTP take of the same rate.
	require.False(t, h.Rate(7).AllowN(now, 1))

	now = now.Add(decided[3].Again)
	require.Equal(t, []string{"", ""}, codes(take(msg("d", "acme-1", three), msg("e", "acme-1", anon("c")))))
	require.Equal(t, "e", s.events[len(s.events)-1].ID)
}
