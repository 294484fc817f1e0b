package subscriptions_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/subscriptions"
)

func TestRotate(t *testing.T) {
	s := create(t, `{"url": "https://crm.example/hook", "encryption": "aes-256-gcm"}`)
	old := s.Keys[0]
	r, err := s.Rotate(time.Hour, now)
	require.NoError(t, err)
	require.Len(t, s.Keys, 1, "the subscription itself is not changed")
	require.Nil(t, s.Keys[0].Until)

	require.Len(t, r.KeysAt(now), 2)
	require.Equal(t, old.AppKey, r.KeysAt(now)[0].AppKey, "the old key goes first while the overlap lasts")
	require.NotEqual(t, old.AppKey, r.Keys[1].AppKey)
	require.Equal(t, old.Encryption, r.Keys[1].Encryption)
	require.Equal(t, 2, r.Keys[1].N)
	require.Equal(t, r.Keys[1:], r.KeysAt(now.Add(time.Hour)), "then the new one only")

	_, err = r.Rotate(time.Hour, now.Add(59*time.Minute))
	require.ErrorIs(t, err, subscriptions.ErrRotating)
	again, err := r.Rotate(time.Hour, now.Add(time.Hour))
	require.NoError(t, err)
	require.Len(t, again.KeysAt(now.Add(time.Hour)), 2)

	f, err := r.FinishRotation(now.Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, f.Keys[1:], f.KeysAt(now.Add(time.Minute)))
	_, err = f.FinishRotation(now.Add(time.Minute))
	require.ErrorIs(t, err, subscriptions.ErrNotRotating)

	at, err := s.Rotate(0, now)
	require.NoError(t, err)
	require.Len(t, at.KeysAt(now), 1, "no overlap: at once")
}
