package search

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/subscriptions"
)

func TestHideQuery(t *testing.T) {
	for url, want := range map[string]string{
		"https://crm.example/push":               "https://crm.example/push",
		"https://crm.example/push?token=hush":    "https://crm.example/push?***",
		"https://crm.example:8443/a%2Fb?a=1&b=2": "https://crm.example:8443/a%2Fb?***",
		"https://crm.example?":                   "https://crm.example?",
	} {
		require.Equal(t, want, HideQuery(url))
	}
}

// The key and version of the attempt decide, whatever was changed since.
func TestRebuild(t *testing.T) {
	sub := &subscriptions.Subscription{
		URL: "https://crm.example/push", Encryption: signing.None, Headers: map[string]string{"x-team": "blue"},
		Keys: []subscriptions.Key{{N: 1, AppKey: "0123456789abcdef"}, {N: 2, AppKey: "fedcba9876543210"}},
	}
	e := &event.Event{CompanyID: "acme", ID: "e1", Type: event.CDRCall}
	d := &Delivery{ID: delivery.ID{Sub: 1, Seq: 2}}
	a := &Attempt{Attempt: delivery.Attempt{N: 3, KeyN: 1, SignedAt: 1637068256419, RandomCode: "0011223344556677"}}
	r, err := Rebuild(d, a, e, []byte(`{"a":1}`), sub)
	require.NoError(t, err)
	require.Equal(t, signing.XLog("acme", a.SignedAt, a.RandomCode, "0123456789abcdef"), r.Header["X-Log-Sign"][0])
	require.Equal(t, []string{"crm.example"}, r.Header["Host"])
	require.Equal(t, []string{"7"}, r.Header["Content-Length"])
	require.Equal(t, []string{"blue"}, r.Header["X-Team"])
	r.Hide(sub)
	require.Equal(t, []string{"***"}, r.Header["X-Team"])

	a.KeyN = 3
	_, err = Rebuild(d, a, e, []byte(`{"a":1}`), sub)
	require.ErrorContains(t, err, "key 3")
}
