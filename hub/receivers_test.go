package hub_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// soon returns a retry plan for tests, exact to the millisecond.
func soon(steps ...string) map[string]any {
	return map[string]any{"live": map[string]any{"schedule": steps, "jitter": 0}}
}

// attempt is an attempt as the API shows it.
type attempt struct {
	status int64
	class  string
}

// attempts returns the attempts of an event's only delivery, and its state.
func attempts(t *testing.T, h *hubtest.Hub, event string) (state string, list []attempt) {
	t.Helper()
	a := h.Do("GET", "/v1/events/"+event, h.Owner, nil)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	d := gjson.GetBytes(a.Body, "deliveries.0")
	state = d.Get("state").String()
	a = h.Do("GET", "/v1/deliveries/"+d.Get("id").String()+"/attempts", h.Owner, nil)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	for _, x := range gjson.GetBytes(a.Body, "data").Array() {
		list = append(list, attempt{x.Get("status").Int(), x.Get("error").String()})
	}
	return state, list
}

// Receivers do something wrong on the first push, of which the log says what it was,
// and take the second one.
func TestReceiversMisbehave(t *testing.T) {
	h := hubtest.Start(t)
	elsewhere := hubtest.NewReceiver(t)
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		first  attempt
	}{
		"500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, attempt{500, "status"}},
		"404": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, attempt{404, "status"}},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, attempt{307, "redirect"}},
		"304":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, attempt{304, "redirect"}},
		"hang":  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, attempt{0, "timeout"}},
		"reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, attempt{0, "reset"}},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set("X-"+strconv.Itoa(i), strings.Repeat("x", 1000))
			}
		}, attempt{0, "tooLarge"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := hubtest.NewReceiverFunc(t, func(n int, w http.ResponseWriter, r *http.Request) {
				if n == 0 {
					tc.answer(w, r)
				}
			})
			sub := h.Subscribe(r.URL, "timeoutMs", 1000, "retry", soon("50ms"))
			id := h.Send(hubtest.Ringing("c", 1))[0]
			r.Wait(t, 2)
			hubtest.Eventually(t, "delivered", func() bool { state, _ := attempts(t, h, id); return state == "delivered" })
			_, list := attempts(t, h, id)
			require.Equal(t, []attempt{tc.first, {200, ""}}, list)
			require.Equal(t, http.StatusNoContent, h.Do("DELETE", "/v1/subscriptions/"+sub["id"].(string), h.Owner, nil).Status)
		})
	}
	require.Empty(t, elsewhere.Pushes(), "redirects are not followed")
}

// A success counts from its status line on, whatever happens to the body.
func TestReceiversTake(t *testing.T) {
	h := hubtest.Start(t)
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		status int64
	}{
		"204": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 204},
		"201": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) }, 201},
		"endless": {func(w http.ResponseWriter, r *http.Request) { // as fast as it goes
			chunk := []byte(strings.Repeat("x", 32<<10))
			for r.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, 200},
		"drip": {func(w http.ResponseWriter, r *http.Request) { // a byte now and then
			for {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}, 200},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("x"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			r := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				defer close(over)
				tc.answer(w, r)
			})

			sub := h.Subscribe(r.URL, "timeoutMs", 1000)
			id := h.Send(hubtest.Ringing("c", 1))[0]
			hubtest.Eventually(t, "delivered", func() bool { state, _ := attempts(t, h, id); return state == "delivered" })
			_, list := attempts(t, h, id)
			require.Equal(t, []attempt{{tc.status, ""}}, list)
			select {
			case <-over: // the hub does not read for ever
			case <-time.After(20 * time.Second):
				require.Fail(t, "the connection stays open")
			}
			require.Equal(t, http.StatusNoContent, h.Do("DELETE", "/v1/subscriptions/"+sub["id"].(string), h.Owner, nil).Status)
		})
	}
}

// 410 pauses the subscription. After it was resumed the same delivery comes again, and
// all later ones.
func TestGonePausesUntilResumed(t *testing.T) {
	h := hubtest.Start(t)
	r := hubtest.NewReceiver(t, http.StatusGone)
	sub := h.Subscribe(r.URL, "events", []string{"call.*"}, "maxInFlight", 1, "retry", soon("10ms", "10ms"))
	path := "/v1/subscriptions/" + sub["id"].(string)
	h.Send(hubtest.Ringing("a", 0))
	hubtest.Eventually(t, "paused", func() bool {
		return h.Do("GET", path, h.Owner, nil).JSON(t)["state"] == "paused"
	})
	require.Equal(t, "gone", h.Do("GET", path, h.Owner, nil).JSON(t)["pausedReason"])
	for n := 1; n < 4; n++ {
		h.Send(hubtest.Ringing("b"+strconv.Itoa(n), n))
	}
	require.Len(t, inState(t, h, "pending"), 4)
	require.Len(t, r.Pushes(), 1)
	require.Equal(t, http.StatusOK, h.Do("POST", path+"/resume", h.Owner, nil).Status)
	r.Wait(t, 5)
	hubtest.Eventually(t, "all delivered", func() bool { return len(inState(t, h, "delivered")) == 4 })
	require.Len(t, r.Pushes(), 5)
}

// Retry-After of a 429 or 503, in seconds or as a date, holds the subscription: nothing
// is sent before, and the deliveries that wait have used up no try.
func TestRetryAfterHoldsTheSubscription(t *testing.T) {
	h := hubtest.Start(t)
	for name, tc := range map[string]struct {
		status int
		value  func() (value string, until time.Time)
	}{
		"429, seconds": {429, func() (string, time.Time) { return "1", time.Now().Add(time.Second) }},
		"429, date": {429, func() (string, time.Time) {
			until := time.Now().Add(2 * time.Second).Truncate(time.Second)
			return until.UTC().Format(http.TimeFormat), until
		}},
		"503, seconds": {503, func() (string, time.Time) { return "1", time.Now().Add(time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held := make(chan time.Time, 1)
			r := hubtest.NewReceiverFunc(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n == 0 {
					value, until := tc.value()
					held <- until
					w.Header().Set("Retry-After", value)
					w.WriteHeader(tc.status)
				}
			})

			// Each case has a type of its own, as they share a hub.
			types := map[string]string{
				"429, seconds": "call.ringing", "429, date": "call.dialing", "503, seconds": "call.held",
			}[name]
			sub := h.Subscribe(r.URL, "events", []string{types}, "maxInFlight", 1, "retry", soon("10ms"))
			var ids []string
			for n := range 5 {
				ids = append(ids, h.Send(strings.Replace(hubtest.Ringing("c"+strconv.Itoa(n), n), "call.ringing", types, 1))...)
			}

			until := <-held
			var hold gjson.Result
			hubtest.Eventually(t, "held", func() bool {
				hold = gjson.GetBytes(h.Do("GET", "/v1/subscriptions/"+sub["id"].(string), h.Owner, nil).Body, "hold")
				return hold.IsObject()
			})
			require.Equal(t, "retryAfter", hold.Get("reason").String())
			require.WithinDuration(t, until, hold.Get("until").Time(), 10*time.Second, "an answer's Date has no fraction")

			pushes := r.Wait(t, 6)
			require.Len(t, pushes, 6)
			for i, p := range pushes[1:] {
				require.False(t, p.At.Before(until.Add(-time.Millisecond)), "push %d came %v early", i+1, until.Sub(p.At))
			}
			for i, id := range ids {
				hubtest.Eventually(t, "delivered", func() bool { state, _ := attempts(t, h, id); return state == "delivered" })
				_, list := attempts(t, h, id)
				require.Len(t, list, map[bool]int{true: 2, false: 1}[i == 0])
			}
		})
	}
}

// Raw characters in a callback URL are sent encoded, and shown so in the attempt.
func TestRawQueryIsSentEncoded(t *testing.T) {
	h := hubtest.Start(t)
	seen := make(chan string, 1)
	r := hubtest.NewReceiverFunc(t, func(_ int, _ http.ResponseWriter, r *http.Request) { seen <- r.RequestURI })
	sub := h.Subscribe(r.URL+"/päth?name=Müller&q={a|b}&x=a b&done=%C3%BC&share=100%", "events", []string{"call.*"})
	require.Equal(t, r.URL+"/päth?name=Müller&q={a|b}&x=a b&done=%C3%BC&share=100%", sub["url"], "shown as given")
	id := h.Send(hubtest.Ringing("c", 0))[0]
	const want = "/p%C3%A4th?name=M%C3%BCller&q=%7Ba%7Cb%7D&x=a%20b&done=%C3%BC&share=100%25"
	require.Equal(t, want, <-seen)
	hubtest.Eventually(t, "recorded", func() bool { state, _ := attempts(t, h, id); return state == "delivered" })
	delivery := gjson.GetBytes(h.Do("GET", "/v1/events/"+id, h.Owner, nil).Body, "deliveries.0.id").String()
	made := h.Do("GET", "/v1/deliveries/"+delivery+"/attempts", h.Owner, nil)
	require.Equal(t, r.URL+want, gjson.GetBytes(made.Body, "data.0.request.url").String(), "%s", made.Body)
}

// The hold of a Retry-After or of an open breaker ends at once when somebody resumes the
// subscription, although it was never paused, or gives it another URL.
func TestResumeAndOtherURLEndAHold(t *testing.T) {
	h := hubtest.Start(t)
	good := hubtest.NewReceiver(t)
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter)
		held   string
		events int
	}{
		"Retry-After": {
			func(w http.ResponseWriter) { w.Header().Set("Retry-After", "3600"); w.WriteHeader(503) }, "retryAfter", 1,
		},
		"breaker": {func(w http.ResponseWriter) { w.WriteHeader(502) }, "breaker", 5},
	} {
		t.Run(name, func(t *testing.T) {
			var better atomic.Bool
			r := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				if !better.Load() {
					tc.answer(w)
				}
			})
			sub := h.Subscribe(r.URL, "events", []string{"call.*"}, "retry", soon("10ms"))
			path := "/v1/subscriptions/" + sub["id"].(string)
			show := func() gjson.Result { return gjson.ParseBytes(h.Do("GET", path, h.Owner, nil).Body) }
			ended := func(a hubtest.Answer) {
				t.Helper()
				require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
				for _, s := range []gjson.Result{gjson.ParseBytes(a.Body), show()} {
					require.Equal(t, gjson.Null, s.Get("hold").Type, s.Raw)
					require.Equal(t, "closed", s.Get("breaker.state").String())
				}
			}
			sent := 0
			hold := func() {
				t.Helper()
				better.Store(false)
				for range tc.events {
					h.Send(hubtest.Ringing(name+strconv.Itoa(sent), sent))
					sent++
				}
				hubtest.Eventually(t, "held", func() bool { return show().Get("hold.reason").String() == tc.held })
				better.Store(true)
			}

			hold()
			ended(h.Do("POST", path+"/resume", h.Owner, nil))
			version := show().Get("version").Int()
			hubtest.Eventually(t, "delivered", func() bool { return len(inState(t, h, "pending")) == 0 })
			ended(h.Do("POST", path+"/resume", h.Owner, nil))
			require.Equal(t, version, show().Get("version").Int(), "there was nothing to end")

			hold()
			ended(h.Do("PATCH", path, h.Owner, map[string]any{"url": good.URL}))
			hubtest.Eventually(t, "delivered", func() bool { return len(inState(t, h, "pending")) == 0 })
			require.Equal(t, http.StatusNoContent, h.Do("DELETE", path, h.Owner, nil).Status)
		})
	}
}

// The schedule says when each further try comes. Once it is used up the delivery is
// exhausted, and the next one of its order key is sent.
func TestScheduleThenNextOfKey(t *testing.T) {
	for name, status := range map[string]int{"failed": 500, "refused as bad": 422} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.Start(t)
			r := hubtest.NewReceiver(t, status, status, status)
			h.Subscribe(r.URL, "events", []string{"call.*"}, "retry", soon("100ms", "300ms"))
			ids := h.Send(hubtest.Ringing("c", 0), hubtest.Ringing("c", 1))
			pushes := r.Wait(t, 4)
			require.Equal(t, []int{0, 0, 0, 1}, []int{pushes[0].N(), pushes[1].N(), pushes[2].N(), pushes[3].N()})
			// Due times are whole milliseconds.
			require.GreaterOrEqual(t, pushes[1].At.Sub(pushes[0].At), 98*time.Millisecond)
			require.GreaterOrEqual(t, pushes[2].At.Sub(pushes[1].At), 298*time.Millisecond)
			for n, p := range pushes[:3] {
				require.Equal(t, strconv.Itoa(n+1), p.Header.Get("X-Hookline-Attempt"))
				require.Equal(t, pushes[0].Header.Get("Webhook-Id"), p.Header.Get("Webhook-Id"))
				require.Equal(t, pushes[0].Body, p.Body)
			}
			hubtest.Eventually(t, "delivered", func() bool { state, _ := attempts(t, h, ids[1]); return state == "delivered" })
			state, list := attempts(t, h, ids[0])
			require.Equal(t, "exhausted", state)
			require.Equal(t, []attempt{{int64(status), "status"}, {int64(status), "status"}, {int64(status), "status"}}, list)
		})
	}
}
