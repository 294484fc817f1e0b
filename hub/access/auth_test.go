package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

var now = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

func at(d time.Duration) *time.Time { t := now.Add(d); return &t }

// bookOf tenants acme (1), strict (2) and asleep (3), with one key per id of
// ids ("acme/owner"); it returns the keys' texts.
func bookOf(t testing.TB, keys ...access.Key) (*access.Book, map[string]string) {
	t.Helper()
	b := &access.Book{}
	b.PutTenant(access.Tenant{No: 1, CompanyID: "acme", Version: 1})
	b.PutTenant(access.Tenant{No: 2, CompanyID: "strict", Version: 1, Settings: map[string]any{"validation": "strict"}})
	b.PutTenant(access.Tenant{No: 3, CompanyID: "asleep", Version: 1, SuspendedAt: at(-time.Hour)})
	texts := map[string]string{}
	for _, k := range keys {
		company := access.PlatformID
		if tenant := b.Tenant(k.Tenant); tenant != nil {
			company = tenant.CompanyID
		}
		texts[k.ID] = access.NewKey(company)
		k.Hash = access.HashKey(texts[k.ID])
		b.PutKey(k)
	}
	return b, texts
}

var someKeys = []access.Key{
	{ID: "platform", Role: access.Platform},
	{ID: "owner", Tenant: 1, Role: access.Owner},
	{ID: "ingest", Tenant: 1, Role: access.Ingest},
	{ID: "auditor", Tenant: 2, Role: access.Auditor, PII: true},
	{ID: "asleep", Tenant: 3, Role: access.Owner},
	{ID: "expired", Tenant: 1, Role: access.Owner, ExpiresAt: at(0)},
	{ID: "expiring", Tenant: 1, Role: access.Owner, ExpiresAt: at(time.Millisecond)},
	{ID: "revoked", Tenant: 1, Role: access.Owner, RevokedAt: at(-time.Hour)},
	{ID: "homeless", Tenant: 9, Role: access.Owner},
}

func TestAuthenticate(t *testing.T) {
	book, text := bookOf(t, someKeys...)
	const ip = "192.0.2.7"
	owner := access.Caller{Tenant: 1, CompanyID: "acme", KeyID: "owner", Role: access.Owner, IP: ip}
	ingest := access.Caller{Tenant: 1, CompanyID: "acme", KeyID: "ingest", Role: access.Ingest, IP: ip}

	for name, tt := range map[string]struct {
		header  []string
		query   string
		inQuery bool
		want    access.Caller
		err     error
	}{
		"owner":              {header: []string{"Bearer " + text["owner"]}, want: owner},
		"scheme in any case": {header: []string{"bEARER  " + text["owner"]}, want: owner},
		"platform": {
			header: []string{"Bearer " + text["platform"]},
			want:   access.Caller{KeyID: "platform", Role: access.Platform, IP: ip},
		},
		"strict tenant, pii": {
			header: []string{"Bearer " + text["auditor"]},
			want: access.Caller{
				Tenant: 2, CompanyID: "strict", KeyID: "auditor", Role: access.Auditor, PII: true, Strict: true, IP: ip,
			},
		},
		"a moment before expiry": {
			header: []string{"Bearer " + text["expiring"]},
			want:   access.Caller{Tenant: 1, CompanyID: "acme", KeyID: "expiring", Role: access.Owner, IP: ip},
		},
		"nothing":      {err: access.ErrNoCredential},
		"empty header": {header: []string{""}, err: access.ErrCredential},
		"no key":       {header: []string{"Bearer"}, err: access.ErrCredential},
		"basic":        {header: []string{"Basic " + text["owner"]}, err: access.ErrCredential},
		"two headers": {
			header: []string{"Bearer " + text["owner"], "Bearer " + text["owner"]}, err: access.ErrCredential,
		},
		"unknown": {header: []string{"Bearer " + access.NewKey("acme")}, err: access.ErrCredential},
		"secret of another tenant": {
			header: []string{"Bearer " + strings.Replace(text["owner"], "acme", "strict", 1)}, err: access.ErrCredential,
		},
		"one character more": {header: []string{"Bearer " + text["owner"] + "0"}, err: access.ErrCredential},
		"expired":            {header: []string{"Bearer " + text["expired"]}, err: access.ErrCredential},
		"revoked":            {header: []string{"Bearer " + text["revoked"]}, err: access.ErrCredential},
		"tenant gone":        {header: []string{"Bearer " + text["homeless"]}, err: access.ErrCredential},
		"tenant suspended":   {header: []string{"Bearer " + text["asleep"]}, err: access.ErrSuspended},

		"in the URL":                   {query: "key=" + text["ingest"], inQuery: true, want: ingest},
		"in the URL where not allowed": {query: "key=" + text["ingest"], err: access.ErrNoCredential},
		"owner in the URL":             {query: "key=" + text["owner"], inQuery: true, err: access.ErrQueryRole},
		"unknown in the URL":           {query: "key=" + access.NewKey("acme"), inQuery: true, err: access.ErrCredential},
		"twice in the URL": {
			query: "key=" + text["ingest"] + "&key=" + text["ingest"], inQuery: true, err: access.ErrCredential,
		},
		"no key in the URL": {query: "a=b", inQuery: true, err: access.ErrNoCredential},
		"the header goes before": {
			header: []string{"Bearer " + text["owner"]}, query: "key=" + text["ingest"], inQuery: true, want: owner,
		},
		"wrong header, right URL": {
			header: []string{"Bearer x"}, query: "key=" + text["ingest"], inQuery: true, err: access.ErrCredential,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &access.Authenticator{Book: book, Now: func() time.Time { return now }}
			r := httptest.NewRequest(http.MethodPost, "/v1/events?"+tt.query, nil)
			r.RemoteAddr = ip + ":4711"
			r.Header["Authorization"] = tt.header
			got, err := a.Authenticate(r, tt.inQuery)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.want, got)
		})
	}
}

// What an admin changed holds for the very next request.
func TestBookFollowsChanges(t *testing.T) {
	book, text := bookOf(t, someKeys...)
	look := func(id string) error { _, err := book.Lookup(text[id], now); return err }

	require.NoError(t, look("owner"))
	book.RemoveKey("owner")
	require.ErrorIs(t, look("owner"), access.ErrCredential)
	book.RemoveKey("owner") // again does no harm

	book.PutKey(access.Key{
		ID: "ingest", Tenant: 1, Role: access.Ingest, Hash: access.HashKey(text["ingest"]), RevokedAt: at(0),
	})
	require.ErrorIs(t, look("ingest"), access.ErrCredential)

	book.PutTenant(access.Tenant{No: 2, CompanyID: "strict", Version: 2, SuspendedAt: at(0)})
	require.ErrorIs(t, look("auditor"), access.ErrSuspended)
	book.PutTenant(access.Tenant{No: 2, CompanyID: "strict", Version: 1}) // comes late: an older version
	require.ErrorIs(t, look("auditor"), access.ErrSuspended)
	book.RemoveTenant(2)
	require.ErrorIs(t, look("auditor"), access.ErrCredential)
	require.Nil(t, book.TenantOf("strict"))
	require.Equal(t, int64(1), book.TenantOf("acme").No)

	again := access.NewKey("acme")
	book.Replace([]access.Tenant{{No: 1, CompanyID: "acme"}},
		[]access.Key{{ID: "new", Tenant: 1, Role: access.Owner, Hash: access.HashKey(again)}})
	require.ErrorIs(t, look("platform"), access.ErrCredential)
	_, err := book.Lookup(again, now)
	require.NoError(t, err)
}

// Ten wrong keys a minute are answered with 401, more with 429; a right key always passes.
func TestWrongKeysAreSlowed(t *testing.T) {
	book, text := bookOf(t, someKeys...)
	clock := now
	a := &access.Authenticator{Book: book, Now: func() time.Time { return clock }}
	try := func(remote, key string) error {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("Authorization", "Bearer "+key)
		_, err := a.Authenticate(r, false)
		return err
	}
	wrong := access.NewKey("acme")
	for range 10 {
		require.ErrorIs(t, try("[2001:db8::1]:1", wrong), access.ErrCredential)
	}
	var slow *access.SlowDown
	require.ErrorAs(t, try("[2001:db8::ffff]:2", wrong), &slow, "the same /64")
	require.Equal(t, 6*time.Second, slow.After)
	require.ErrorAs(t, try("[2001:db8::1]:1", wrong), &slow)
	require.Equal(t, 6*time.Second, slow.After, "the wait does not grow by trying")
	require.NoError(t, try("[2001:db8::1]:1", text["owner"]))
	require.ErrorIs(t, try("[2001:db8:0:1::1]:1", wrong), access.ErrCredential, "another /64")
	require.ErrorIs(t, try("192.0.2.1:1", wrong), access.ErrCredential)

	clock = clock.Add(6 * time.Second)
	require.ErrorIs(t, try("[2001:db8::1]:1", wrong), access.ErrCredential, "one more after 6 s")
	require.ErrorAs(t, try("[2001:db8::1]:1", wrong), &slow)
}

// Millions of addresses do not grow the memory, and do not free the one that is at its limit at once.
func TestWrongKeysOfManyAddresses(t *testing.T) {
	book, _ := bookOf(t)
	a := &access.Authenticator{Book: book, Now: func() time.Time { return now }}
	try := func(ip netip.Addr) error {
		r := &http.Request{
			RemoteAddr: netip.AddrPortFrom(ip, 1).String(), Header: http.Header{"Authorization": {"Bearer x"}}, URL: &url.URL{},
		}
		_, err := a.Authenticate(r, false)
		return err
	}
	bad := netip.MustParseAddr("192.0.2.1")
	for range 10 {
		require.ErrorIs(t, try(bad), access.ErrCredential)
	}
	for i := range 40_000 { // more than one generation
		require.ErrorIs(t, try(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), access.ErrCredential)
	}
	var slow *access.SlowDown
	require.ErrorAs(t, try(bad), &slow)
}

func TestClientIP(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		remote  string
		forward []string
		trusted []netip.Prefix
		want    string
	}{
		{"192.0.2.1:80", nil, trusted, "192.0.2.1"},
		{"192.0.2.1:80", []string{"198.51.100.1"}, trusted, "192.0.2.1"}, // not a proxy of ours: it may say what it likes
		{"10.0.0.1:80", []string{"198.51.100.1"}, nil, "10.0.0.1"},
		{"10.0.0.1:80", nil, trusted, "10.0.0.1"},
		{"10.0.0.1:80", []string{"198.51.100.1"}, trusted, "198.51.100.1"},
		{"10.0.0.1:80", []string{"1.1.1.1, 198.51.100.1, 10.0.0.2"}, trusted, "198.51.100.1"},
		{"10.0.0.1:80", []string{"1.1.1.1", "198.51.100.1", "10.0.0.2"}, trusted, "198.51.100.1"},
		{"10.0.0.1:80", []string{"1.1.1.1, nonsense, 10.0.0.2"}, trusted, "10.0.0.2"},
		{"10.0.0.1:80", []string{"10.0.0.3,10.0.0.2"}, trusted, "10.0.0.3"}, // all are ours: the furthest
		{"10.0.0.1:80", []string{"198.51.100.1:4711"}, trusted, "198.51.100.1"},
		{"10.0.0.1:80", []string{"[2001:db8::1]:4711"}, trusted, "2001:db8::1"},
		{"10.0.0.1:80", []string{"[2001:db8::1]"}, trusted, "2001:db8::1"},
		{"[::ffff:10.0.0.1]:80", []string{"198.51.100.1"}, trusted, "198.51.100.1"},
		{"[fd00::1%eth0]:80", []string{"198.51.100.1"}, trusted, "198.51.100.1"},
		{"@", []string{"198.51.100.1"}, trusted, "invalid IP"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tt.remote
		r.Header["X-Forwarded-For"] = tt.forward
		require.Equal(t, tt.want, access.ClientIP(r, tt.trusted).String(), "%+v", tt)
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("10.0.0.1:80", "198.51.100.1, 10.0.0.2")
	f.Add("[::1]:1", "[2001:db8::1]:4711,,")
	f.Add("@", "unknown")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		direct := access.ClientIP(r, nil)
		got := access.ClientIP(r, trusted)
		if !direct.IsValid() || !trusted[0].Contains(direct) {
			require.Equal(t, direct, got, "only a trusted proxy is believed")
		}
		require.Empty(t, got.Zone())
		require.False(t, got.Is4In6())
	})
}

// uses is a UsageStore that fails while err is set.
type uses struct {
	err  error
	used []map[string]time.Time
}

func (u *uses) RecordKeyUse(_ context.Context, used map[string]time.Time) error {
	if u.err != nil {
		return u.err
	}
	u.used = append(u.used, used)
	return nil
}

func TestFlushWritesUseInBatches(t *testing.T) {
	book, text := bookOf(t, someKeys...)
	store := &uses{}
	ctx := t.Context()
	require.NoError(t, book.Flush(ctx, store))
	require.Empty(t, store.used, "nothing was used: nothing is written")

	for i := range 100 {
		_, err := book.Lookup(text["owner"], now.Add(time.Duration(i)*time.Second))
		require.NoError(t, err)
	}
	_, err := book.Lookup(text["platform"], now)
	require.NoError(t, err)
	_, err = book.Lookup(text["expired"], now)
	require.Error(t, err)

	store.err = errors.New("disk full")
	require.ErrorIs(t, book.Flush(ctx, store), store.err)
	store.err = nil
	book.RemoveKey("platform") // its last use counts all the same
	require.NoError(t, book.Flush(ctx, store))
	require.NoError(t, book.Flush(ctx, store))
	require.Len(t, store.used, 1)
	require.Len(t, store.used[0], 2)
	require.True(t, store.used[0]["owner"].Equal(now.Add(99*time.Second)))
	require.True(t, store.used[0]["platform"].Equal(now))
}

func TestBookUnderConcurrentUse(t *testing.T) {
	book, text := bookOf(t, someKeys...)
	store := &uses{}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 500 {
				if _, err := book.Lookup(text["owner"], now); err != nil {
					t.Error(err)
				}
				id := fmt.Sprintf("k%d", i)
				book.PutKey(access.Key{ID: id, Tenant: 1, Role: access.Owner, Hash: access.HashKey(fmt.Sprint(i, n))})
				book.PutTenant(access.Tenant{No: 1, CompanyID: "acme", Version: int64(n)})
				book.RemoveKey(id)
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			if err := book.Flush(context.Background(), store); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	require.NoError(t, book.Flush(t.Context(), store))
	require.NotEmpty(t, store.used)
}

func TestEffectiveLimits(t *testing.T) {
	require.Equal(t, access.DefaultLimits, access.Limits{}.Effective())
	own := access.Limits{EventsPerSecond: 1, Subscriptions: 2, Keys: 3, PendingDeliveries: 4, SSEStreams: 5, Exports: 6, Sources: 7}
	require.Equal(t, own, own.Effective())
}

func BenchmarkAuthenticate(b *testing.B) {
	book, text := bookOf(b, someKeys...)
	a := &access.Authenticator{Book: book}
	r := httptest.NewRequest(http.MethodPost, "/v1/events", nil)
	r.Header.Set("Authorization", "Bearer "+text["ingest"])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r, true); err != nil {
			b.Fatal(err)
		}
	}
}
