package subscriptions_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

const everyField = `{"name": "crm", "description": "d", "url": "https://crm.example/hook", "events": ["cdr.*"],
	"filter": {"agentIDs": ["1001"], "callTypes": [2, "Consult"]}, "masking": "partial", "appKey": "0123456789abcdef0123456789abcdef",
	"encryption": "aes-256-gcm", "encryptionKey": "from-appKey", "ordering": "none", "headers": {"Authorization": "Bearer top secret"}, "timeoutMs": 2000,
	"retry": {"cdr": {"schedule": ["5s", "1m30s", "2h"], "jitter": 0.1}}, "giveUpAfter": {"cdr": "90m"}, "maxInFlight": 3, "ratePerSecond": 2.5, "expiresAfter": "90s",
		"supersede": false, "strictAck": true, "state": "paused"}`

func TestView(t *testing.T) {
	s := create(t, everyField)
	s.ID, s.Version, s.CreatedAt, s.UpdatedAt = "sub-1", 7, now, now.Add(time.Millisecond)
	v := s.View()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, `{"id": "sub-1", "name": "crm", "description": "d", "url": "https://crm.example/hook", "events": ["cdr.*"],
		"filter": {"agentIDs": ["1001"], "callTypes": [2, "Consult"]}, "masking": "partial",
		"encryption": "aes-256-gcm", "ordering": "none", "headers": {"Authorization": "***"}, "timeoutMs": 2000,
		"retry": {"cdr": {"schedule": ["5s", "1m30s", "2h"], "jitter": 0.1}, "live": {"schedule": ["1s", "5s", "30s", "2m", "10m"], "jitter": 0.2}},
		"giveUpAfter": {"cdr": "1h30m", "live": "1h"}, "maxInFlight": 3, "ratePerSecond": 2.5, "expiresAfter": "1m30s",
		"supersede": false, "strictAck": true, "state": "paused", "pausedReason": "admin",
		"hold": null, "breaker": {"state": "closed", "opens": 0}, "version": 7,
		"createdAt": "2026-03-04T05:06:07.000Z", "updatedAt": "2026-03-04T05:06:07.001Z"}`, string(raw))

	v.Held(now.UnixMilli(), "breaker")
	v.Broken("open", 2, now.UnixMilli())
	v.ShowSecrets(s)
	raw, err = json.Marshal(v)
	require.NoError(t, err)
	require.Contains(t, string(raw),
		`"hold":{"until":"2026-03-04T05:06:07.000Z","reason":"breaker"},"breaker":{"state":"open","opens":2,"since":"2026-03-04T05:06:07.000Z"}`)
	require.Contains(t, string(raw),
		`"appKey":"0123456789abcdef0123456789abcdef","signingSecret":"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=","encryptionKey":"from-appKey"`)
	require.NotContains(t, string(raw), "top secret")
	v.Held(0, "")
	v.Broken("", 0, 0)
	require.Nil(t, v.Hold)
	require.Equal(t, "closed", v.Breaker.State)
}

func TestViewOfPlainOneHasNoEncryptionKey(t *testing.T) {
	s := create(t, `{"url": "https://crm.example/hook"}`)
	v := s.View()
	v.ShowSecrets(s)
	require.Equal(t, s.Keys[0].AppKey, v.AppKey)
	require.Empty(t, v.EncryptionKey)
	require.NotNil(t, v.Headers)
	require.Equal(t, []string{"5s", "30s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"}, v.Retry["cdr"].Schedule)
	require.Equal(t, map[string]string{"cdr": "96h", "live": "1h"}, v.GiveUpAfter)
}

// What a view shows can be sent back as it is, apart from what the hub itself sets.
func TestViewCanBePatchedBack(t *testing.T) {
	s := create(t, everyField)
	raw, err := json.Marshal(s.View())
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(raw, &fields))
	for _, made := range []string{"id", "version", "createdAt", "updatedAt", "hold", "breaker", "pausedReason"} {
		delete(fields, made)
	}
	raw, err = json.Marshal(fields)
	require.NoError(t, err)
	require.Equal(t, s, patch(t, s, string(raw)))
}

func flip(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] ^= 0x55
	}
	return out
}

func TestFieldsRoundTrip(t *testing.T) {
	for _, raw := range []string{
		everyField, `{"url": "https://crm.example/hook"}`, with(`"retry": {"live": {"schedule": []}}`),
	} {
		s := create(t, raw)
		stored, err := s.Fields(flip)
		require.NoError(t, err)
		require.NotContains(t, string(stored), "top secret")
		require.NotContains(t, string(stored), s.Keys[0].AppKey)

		got := &subscriptions.Subscription{Keys: s.Keys, PausedAt: s.PausedAt}
		require.NoError(t, got.SetFields(stored, func(b []byte) ([]byte, error) { return flip(b), nil }))
		require.Equal(t, s, got)
	}
}

// A hundred thousand subscriptions with defaults hold one copy of them.
func TestSetFieldsSharesDefaults(t *testing.T) {
	stored, err := create(t, `{"url": "https://crm.example/hook"}`).Fields(flip)
	require.NoError(t, err)
	var a, b subscriptions.Subscription
	require.NoError(t, a.SetFields(stored, nil))
	require.NoError(t, b.SetFields(stored, nil))
	require.Same(t, &a.Events[0], &b.Events[0])
	require.Same(t, &a.Retry[event.CDR].Schedule[0], &b.Retry[event.CDR].Schedule[0])
	a.Retry[event.Class(9)] = subscriptions.Retry{}
	defer delete(a.Retry, event.Class(9))
	require.Contains(t, b.Retry, event.Class(9), "one map")
}

func TestSetFieldsRefusesWhatItCannotRead(t *testing.T) {
	var s subscriptions.Subscription
	ok := func(b []byte) ([]byte, error) { return b, nil }
	require.Error(t, s.SetFields([]byte(`{`), ok))
	require.ErrorContains(t, s.SetFields([]byte(`{"events": ["gone.*"]}`), ok), "gone.*")
	require.ErrorContains(t, s.SetFields([]byte(`{"events": ["*"], "retry": {"x": {}}}`), ok), `"x"`)
	require.ErrorContains(t, s.SetFields([]byte(`{"events": ["*"], "giveUpAfter": {"x": 1}}`), ok), `"x"`)
	require.ErrorContains(t, s.SetFields([]byte(`{"events": ["*"], "masking": "x"}`), ok), `"x"`)
	require.ErrorContains(t, s.SetFields([]byte(`{"events": ["*"], "filter": {"callTypes": [9]}}`), ok), "callTypes")
	err := s.SetFields([]byte(`{"events": ["*"], "headers": {"X-A": "AAAA"}}`),
		func([]byte) ([]byte, error) { return nil, errors.New("wrong key") })
	require.ErrorContains(t, err, "X-A")
	require.ErrorContains(t, err, "wrong key")
}
