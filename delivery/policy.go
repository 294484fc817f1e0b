package delivery

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hookline/hookline/subscriptions"
)

// asideAfter is how long a body that the receiver refuses as bad holds its order key.
const asideAfter = 60 * time.Second

// maxRetryAfter is the longest wait that a receiver can ask for.
const maxRetryAfter = time.Hour

// Result is what an attempt means for the delivery and for the receiver's health.
type Result uint8

// Results of an attempt.
const (
	Taken   Result = iota // 2xx
	Gone                  // 410: the receiver wants no more pushes
	Refused               // this body is bad, which says nothing about the receiver
	Failed                // the receiver is in trouble
)

// ResultOf returns what an attempt means.
func ResultOf(a *Attempt) Result {
	switch a.StatusCode {
	case 0:
		return Failed
	case http.StatusGone:
		return Gone
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusRequestTimeout, http.StatusTooManyRequests:
		return Failed
	}
	switch {
	case a.Class == None:
		return Taken
	case a.Class == Ack: // the receiver read it, and did not accept it
		return Refused
	case a.StatusCode >= 400 && a.StatusCode < 500:
		return Refused
	}
	return Failed
}

// decide returns what becomes of a run after an attempt. sub is the subscription
// as it is now, not as it was when the attempt began: its active clock, by which
// giveUpAfter is measured, may have stopped since then.
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

	// The delivery is due by its schedule alone. What the receiver asks for by
	// Retry-After holds the whole subscription instead, so that whoever ends the
	// hold need not look at any delivery; and the active clock stands still.
	if a.RetryAfter > 0 {
		sub = sub.StandStill(now, now.Add(a.RetryAfter))
	}
	due := now.Add(jitter(retry.Schedule[tries-1], retry.Jitter))
	if sub.ActiveClock(due) >= it.GiveUpAt {
		return Verdict{State: Exhausted} // no attempt could follow any more
	}

	v := Verdict{State: Pending, DueAt: due.UnixMilli(), AsideAt: it.AsideAt}
	if result == Refused && v.AsideAt == 0 {
		v.AsideAt = now.Add(asideAfter).UnixMilli()
	}
	return v
}

// jitter returns a random duration between d - share*d and d + share*d.
func jitter(d time.Duration, share float64) time.Duration {
	return d + time.Duration((rand.Float64()*2-1)*share*float64(d))
}

// retryAfter reads how long an answer asks to wait: seconds, or a date. A date
// is read against the Date of the same answer, if it has one, because the clocks
// of receivers are often wrong. It returns 0 for what cannot be read, and an hour
// at most.
func retryAfter(answer http.Header, now time.Time) time.Duration {
	value := answer.Get("Retry-After")
	if value == "" {
		return 0
	}

	var d time.Duration
	if n, ok := digits(value); ok {
		d = time.Duration(min(n, int64(maxRetryAfter/time.Second))) * time.Second
	} else if until, err := http.ParseTime(value); err == nil {
		if said, err := http.ParseTime(answer.Get("Date")); err == nil {
			now = said
		}
		d = until.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// digits reads a whole number. It stops growing where it is far above any cap.
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
