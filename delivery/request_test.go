package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/subscriptions"
)

// The vendor's document spells the Content-Type of its pushes without a blank, and
// receivers that were built for them may compare it as a text.
func TestContentTypeOfAPush(t *testing.T) {
	for _, encryption := range []string{signing.None, "aes-256-cbc"} {
		p := Push{
			ID:    ID{Sub: 1, Seq: 2},
			Event: &event.Event{CompanyID: "acme", ID: "e", Type: event.CDRCall},
			Body:  []byte(`{"callID":"c"}`),
			Sub: &subscriptions.Subscription{
				Encryption: encryption, Headers: map[string]string{"content-type": "text/plain"},
				Keys: []subscriptions.Key{{N: 1, AppKey: "0123456789abcdef", Encryption: []byte(subscriptions.FromAppKey)}},
			},
			Nonce: make([]byte, 16),
		}
		header, _, err := p.Request()
		require.NoError(t, err, encryption)
		require.Equal(t, []string{"application/json;charset=utf-8"}, header["Content-Type"], encryption)
	}
}
