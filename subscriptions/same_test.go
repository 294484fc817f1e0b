package subscriptions

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every field that can be set is compared, and nothing else.
func TestDifferencesKnowEveryField(t *testing.T) {
	require.ElementsMatch(t, slices.Collect(maps.Keys(setters)), slices.Collect(maps.Keys(sameField)))
}

func TestDifferences(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	full := map[string]any{
		"name": "crm", "description": "d", "url": "https://crm.example/push?a=1", "events": []string{"cdr.*", "call.*"},
		"filter":  map[string]any{"agentIDs": []string{"1", "2"}, "callTypes": []any{1, "Inbound"}},
		"masking": "partial", "appKey": key, "encryption": "aes-256-gcm", "encryptionKey": "from-appKey", "ordering": "none",
		"headers": map[string]any{"X-Team": "blue"}, "timeoutMs": 2000,
		"retry":       map[string]any{"cdr": map[string]any{"schedule": []string{"5s"}}},
		"giveUpAfter": map[string]any{"live": "2h"}, "maxInFlight": 3, "state": "paused", "supersede": false,
		"strictAck":     true,
		"ratePerSecond": 2.5, "expiresAfter": "1h",
	}
	document := func(change map[string]any) []byte {
		all := maps.Clone(full)
		maps.Copy(all, change)
		raw, err := json.Marshal(all)
		require.NoError(t, err)
		return raw
	}
	made := func(raw []byte) *Subscription {
		s, problems := Create(raw, Rules{})
		require.Empty(t, problems, "%s", raw)
		return s
	}
	current := made(document(nil))

	for name, c := range map[string]struct {
		raw  []byte
		want []string
	}{
		"the same again": {document(nil), nil},
		"another order": {
			document(map[string]any{
				"events": []string{"call.*", "cdr.*"},
				"filter": map[string]any{"callTypes": []any{2, "Internal"}, "agentIDs": []string{"2", "1", "1"}},
			}),
			nil,
		},
		"another case":         {document(map[string]any{"headers": map[string]any{"x-team": "blue"}}), nil},
		"keys left to the hub": {document(map[string]any{"appKey": nil, "encryptionKey": nil}), nil},
		"only some fields":     {[]byte(`{"url":"https://crm.example/push?a=1","name":"crm"}`), nil},
		"null is the default": {
			document(map[string]any{"masking": nil, "timeoutMs": nil}), []string{"/masking", "/timeoutMs"},
		},
		"another appKey":            {document(map[string]any{"appKey": key + "x"}), []string{"/appKey"}},
		"another URL and a default": {[]byte(`{"url":"https://crm.example/","events":["*"]}`), []string{"/url", "/events"}},
	} {
		require.ElementsMatch(t, c.want, Differences(c.raw, made(c.raw), current), name)
	}

	for field, other := range map[string]any{
		"name": "other", "description": "", "url": "https://crm.example/push?a=2", "events": []string{"cdr.*"},
		"filter": map[string]any{"agentIDs": []string{"1"}}, "masking": "drop", "encryption": "aes-256-cbc",
		"encryptionKey": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "ordering": "key",
		"headers":   map[string]any{"X-Team": "red"},
		"timeoutMs": 2001, "retry": map[string]any{"cdr": map[string]any{"schedule": []string{"6s"}}},
		"giveUpAfter": map[string]any{"live": "3h"}, "maxInFlight": 4, "state": "active", "strictAck": false,
		"ratePerSecond": 2, "expiresAfter": "2h",
	} {
		raw := document(map[string]any{field: other})
		require.Equal(t, []string{"/" + field}, Differences(raw, made(raw), current), field)
	}
}
