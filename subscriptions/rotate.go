package subscriptions

import (
	"encoding/base64"
	"errors"
	"slices"
	"time"
)

// Errors of a rotation.
var (
	ErrRotating    = errors.New("a rotation is under way: finish it first")
	ErrNotRotating = errors.New("no rotation is under way")
)

// MaxOverlap is how long two keys may be in force at most.
const MaxOverlap = 30 * 24 * time.Hour

// Rotate returns a copy with a new appKey. Until the overlap is over, the key before
// it makes X-Log-Sign and seals, and both sign webhook-signature. A sealing key that
// is not derived from appKey stays. The error is ErrRotating while an earlier overlap
// lasts.
func (s *Subscription) Rotate(overlap time.Duration, now time.Time) (*Subscription, error) {
	now = now.Truncate(time.Millisecond) // as it is stored
	if len(s.KeysAt(now)) > 1 {
		return nil, ErrRotating
	}
	n := *s
	n.Keys = slices.Clone(s.Keys)
	last := &n.Keys[len(n.Keys)-1]
	until := now.Add(overlap)
	last.Until = &until
	n.Keys = append(n.Keys, Key{
		N: last.N + 1, AppKey: base64.RawURLEncoding.EncodeToString(random32()), Encryption: last.Encryption, From: now,
	})
	return &n, nil
}

// FinishRotation returns a copy in which only the newest key is in force. The error is
// ErrNotRotating if that is so already.
func (s *Subscription) FinishRotation(now time.Time) (*Subscription, error) {
	now = now.Truncate(time.Millisecond)
	if len(s.KeysAt(now)) < 2 {
		return nil, ErrNotRotating
	}
	n := *s
	n.Keys = slices.Clone(s.Keys)
	for i := range n.Keys[:len(n.Keys)-1] {
		if k := &n.Keys[i]; k.Until == nil || k.Until.After(now) {
			k.Until = &now
		}
	}
	return &n, nil
}
