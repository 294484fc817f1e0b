package delivery

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hookline/hookline/subscriptions"
)

// asideAfter is how long a body that the receiver refuses as bad holds its order key.
const asideAfter = 60 * time.Second

// maxRetryAfter caps what a receiver may ask for.
const maxRetryAfter = time.Hour

// Result is what an attempt means for the delivery and for the receiver's health.
type Result uint8

// Results of an attempt.
const (
	Taken   Result = iota // 2xx
	Gone                  // 410: the receiver wants no more
	Refused               // this body is bad: says nothing about the receiver
	Failed                // the receiver is in trouble
)

// ResultOf maps what happened to what it means.
func ResultOf(a *Attempt) Result {
	switch a.StatusCode {
	case 0:
		return Failed
	case http.StatusGone:
		return Gone
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return Failed
	}
	switch {
	case a.Class == None:
		return Taken
	case a.Class == Ack: // it was heard, and not accepted
		return Refused
	case a.StatusCode >= 400 && a.StatusCode < 500:
		return Refused
	}
	return Failed
}

// decide what becomes of a run after an attempt. active is the subscription's
// active clock, on which giveUpAfter is measured.
func decide(it *Item, a *Attempt, sub *subscriptions.Subscription, now time.Time) Verdict {
	result := ResultOf(a)
	if result == Taken {
		return Verdict{State: Delivered}
	}
	retry := sub.Retry[it.Type.Class()]
	tries := it.Tries + 1 // with this one
	if tries > len(retry.Schedule) {
		return Verdict{State: Exhausted}
	}
	wait := jitter(retry.Schedule[tries-1], retry.Jitter)
	// An answer that asks to wait holds the subscription; its delivery is due
	// no sooner.
	wait = max(wait, a.RetryAfter)
	if sub.ActiveClock(now)+wait.Milliseconds() >= it.GiveUpAt {
		return Verdict{State: Exhausted} // no attempt could follow any more
	}
	v := Verdict{State: Pending, DueAt: now.Add(wait).UnixMilli(), AsideAt: it.AsideAt}
	if result == Refused && v.AsideAt == 0 {
		v.AsideAt = now.Add(asideAfter).UnixMilli()
	}
	return v
}

// jitter draws from d ± share.
func jitter(d time.Duration, share float64) time.Duration {
	return d + time.Duration((rand.Float64()*2-1)*share*float64(d))
}

// retryAfter reads the header: seconds, or a date; capped at an hour, 0 when
// absent or unreadable.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	var d time.Duration
	if n, ok := digits(value); ok {
		d = time.Duration(min(n, int64(maxRetryAfter/time.Second))) * time.Second
	} else if t, err := http.ParseTime(value); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// digits reads a whole number; one too long to matter is as good as the cap.
func digits(s string) (int64, bool) {
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n < 1<<40 {
			n = n*10 + int64(c-'0')
		}
	}
	return n, true
}
