package hub_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// deliveries returns the first page of deliveries.
func deliveries(t *testing.T, h *hubtest.Hub, query string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, d := range h.Do("GET", "/v1/deliveries?"+query, h.Owner, nil).JSON(t)["data"].([]any) {
		out = append(out, d.(map[string]any))
	}
	return out
}

// retries returns a retry plan of one class, exact to the millisecond.
func retries(class string, schedule ...string) map[string]any {
	if schedule == nil {
		schedule = []string{} // null would be the default
	}
	return map[string]any{class: map[string]any{"schedule": schedule, "jitter": 0}}
}

// With strictAck a 200 that says otherwise in its body is a failure.
func TestStrictAck(t *testing.T) {
	h := hubtest.Start(t)
	answers := []string{`{"code":3,"msg":"signature check failed"}`, `thanks`, `{"ret_code":"000000"}`}
	r := hubtest.NewReceiverFunc(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answers[min(n, len(answers)-1)])
	})
	h.Subscribe(r.URL, "strictAck", true, "retry", retries("live", "10ms", "10ms", "10ms"))
	h.Send(hubtest.Ringing("c1", 1))
	r.Wait(t, 3)
	hubtest.Eventually(t, "delivered", func() bool { return len(deliveries(t, h, "state=delivered")) == 1 })
	d := deliveries(t, h, "")[0]
	require.EqualValues(t, 3, d["tries"])
	a := h.Do("GET", "/v1/deliveries/"+d["id"].(string)+"/attempts", h.Owner, nil).JSON(t)["data"].([]any)
	require.Len(t, a, 3)
	require.Equal(t, 2, countAck(a))
	require.Len(t, r.Pushes(), 3)
}

func countAck(attempts []any) (n int) {
	for _, x := range attempts {
		for _, v := range x.(map[string]any) {
			if v == "ack" {
				n++
			}
		}
	}
	return n
}

// A live event that is too old is not sent any more; a record is.
func TestExpiresAfter(t *testing.T) {
	h := hubtest.Start(t)
	r := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	h.Subscribe(r.URL, "expiresAfter", "1s", "retry", map[string]any{
		"live": map[string]any{"schedule": []string{"1200ms", "1h"}, "jitter": 0},
		"cdr":  map[string]any{"schedule": []string{"1h"}},
	})
	h.Send(hubtest.Ringing("c1", 1), hubtest.CDR("c1", 2))
	hubtest.Eventually(t, "expired", func() bool { return len(deliveries(t, h, "state=expired")) == 1 })
	require.Equal(t, "call.ringing", deliveries(t, h, "state=expired")[0]["type"])
	require.Equal(t, "cdr.call", deliveries(t, h, "state=pending")[0]["type"])
	require.Len(t, r.Pushes(), 2)
}

// A record that waits is superseded by its correction. Another record is not.
func TestSupersede(t *testing.T) {
	h := hubtest.Start(t)
	r := hubtest.NewReceiver(t, 500, 500)
	h.Subscribe(r.URL, "supersede", true, "retry", retries("cdr", "1h"))
	h.Send(hubtest.CDR("one", 1), hubtest.CDR("two", 2))
	r.Wait(t, 2)
	hubtest.Eventually(t, "both wait", func() bool {
		ds := deliveries(t, h, "state=pending")
		return len(ds) == 2 && ds[0]["tries"] == 1.0 && ds[1]["tries"] == 1.0
	})
	h.Send(hubtest.CDR("one", 3))
	require.Equal(t, 3, r.Wait(t, 3)[2].N())
	hubtest.Eventually(t, "one superseded, its correction delivered", func() bool {
		return len(deliveries(t, h, "state=superseded")) == 1 && len(deliveries(t, h, "state=pending")) == 1
	})
	require.Equal(t, "cdr/one", deliveries(t, h, "state=superseded")[0]["orderKey"])
	require.Equal(t, "cdr/two", deliveries(t, h, "state=pending")[0]["orderKey"])
}

// ratePerSecond lets a second's worth through at once and then one by one.
func TestRatePerSecond(t *testing.T) {
	h := hubtest.Start(t)
	r := hubtest.NewReceiver(t)
	h.Subscribe(r.URL, "ratePerSecond", 10, "maxInFlight", 64)
	began := time.Now()
	for n := range 20 {
		h.Send(hubtest.Ringing("c"+string(rune('a'+n)), n))
	}
	pushes := r.Wait(t, 20)
	// 10 at once, 10 more at 10 a second; sooner is impossible, later is only slow.
	require.GreaterOrEqual(t, pushes[19].At.Sub(began), 900*time.Millisecond)
}
