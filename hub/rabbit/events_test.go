package rabbit_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/rabbittest"
	"github.com/hookline/hookline/hub/rabbit"
)

// byBroker lets a hub take events from a broker.
func byBroker(url string) func(*config.Config) { return func(c *config.Config) { c.AMQPURL = url } }

// platform publishes to a broker and waits for its confirmation.
type platform struct {
	t    *testing.T
	conn *amqp.Connection
	ch   *amqp.Channel
	last *amqp.DeferredConfirmation
}

func newPlatform(t *testing.T, url string) *platform {
	t.Helper()
	p := &platform{t: t}
	var err error
	p.conn, err = amqp.Dial(url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.conn.Close() }) // the broker may have closed it
	p.ch, err = p.conn.Channel()
	require.NoError(t, err)
	require.NoError(t, p.ch.Confirm(false))
	hubtest.Eventually(t, "the hub has declared its queues", func() bool {
		ch, err := p.conn.Channel()
		require.NoError(t, err)
		defer ch.Close()
		q, err := ch.QueueDeclarePassive(rabbit.IngestQueue, true, false, false, false, nil)
		return err == nil && q.Consumers > 0
	})
	return p
}

func (p *platform) publish(key string, m amqp.Publishing) {
	p.t.Helper()
	p.publishLater(key, m)
	p.confirm()
}

// publishLater publishes without waiting; confirm waits for all.
func (p *platform) publishLater(key string, m amqp.Publishing) {
	p.t.Helper()
	m.DeliveryMode = amqp.Persistent
	var err error
	p.last, err = p.ch.PublishWithDeferredConfirm(rabbit.EventsExchange, key, true, false, m)
	require.NoError(p.t, err)
}

func (p *platform) confirm() {
	p.t.Helper()
	require.True(p.t, p.last.Wait())
}

// rejected messages that came so far, waiting for n.
func (p *platform) rejected(n int) []amqp.Delivery {
	p.t.Helper()
	ch, err := p.conn.Channel()
	require.NoError(p.t, err)
	defer ch.Close()
	in, err := ch.Consume(rabbit.RejectedQueue, "", true, false, false, false, nil)
	require.NoError(p.t, err)
	var got []amqp.Delivery
	for deadline := time.After(20 * time.Second); len(got) < n; {
		select {
		case d := <-in:
			got = append(got, d)
		case <-deadline:
			require.FailNow(p.t, "rejected messages are missing", "%d of %d came", len(got), n)
		}
	}
	return got
}

func gzipped(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(s))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// Events that come by a broker are stored and delivered as those that come by
// HTTP; the id of a message is that of its event.
func TestEventsByBroker(t *testing.T) {
	url := rabbittest.VHost(t)
	h := hubtest.Start(t, byBroker(url))
	r := hubtest.NewReceiver(t)
	h.Subscribe(r.URL)
	p := newPlatform(t, url)

	bare := `{"callID":"c1","partyID":"p","thisDN":"1","n":1}`
	p.publish("demo.call.ringing", amqp.Publishing{MessageId: "one", Body: []byte(bare)})
	p.publish("demo.call.ringing", amqp.Publishing{MessageId: "one", Body: []byte(bare)}) // again
	p.publish("demo.call.ringing", amqp.Publishing{MessageId: "two", Body: []byte(hubtest.Ringing("c1", 2)), ContentEncoding: "identity"})
	p.publish("demo.EventRinging", amqp.Publishing{
		MessageId: "three", ContentType: "application/json", ContentEncoding: "gzip", Body: gzipped(t, strings.Replace(bare, `"n":1`, `"n":3`, 1)),
		Headers: amqp.Table{
			"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "X-Hookline-Hops": int32(2),
			"n": int64(7), "f": 1.5, "none": nil, "yes": true, "raw": []byte{0xff}, "at": time.Unix(7, 0), "x-death": []any{amqp.Table{"count": int64(3)}},
			"amqp.routing_key": "other.call.ringing", "money": amqp.Decimal{Scale: 2, Value: 100},
		},
	})
	p.publish("demo.mixed", amqp.Publishing{MessageId: "many", Body: []byte("[" + hubtest.Ringing("c1", 4) + "," + hubtest.CDR("c2", 5) + "]")})
	p.publish("demo.call.ringing", amqp.Publishing{
		MessageId: "lines", ContentType: "application/x-ndjson", Body: []byte(hubtest.Ringing("c1", 6) + "\n" + hubtest.Ringing("c1", 7) + "\n"),
	})
	p.publish("demo.call.ringing", amqp.Publishing{Body: []byte(strings.Replace(bare, `"n":1`, `"n":8`, 1))}) // without id

	order := map[string]int{}
	for _, push := range r.Wait(t, 8) {
		var b struct{ CallID, CompanyID string }
		require.NoError(t, json.Unmarshal(push.Body, &b))
		require.Less(t, order[b.CallID], push.N(), "of %s", b.CallID)
		order[b.CallID] = push.N()
		require.Equal(t, "demo", b.CompanyID)
	}
	require.Equal(t, map[string]int{"c1": 8, "c2": 5}, order)
	for _, id := range []string{"one", "two", "three", "many:0", "many:1", "lines:0", "lines:1"} {
		require.Equal(t, http.StatusOK, h.Do("GET", "/v1/events/"+id, h.Owner, nil).Status, id)
	}
	e := h.Do("GET", "/v1/events/three", h.Owner, nil).JSON(t)
	require.Equal(t, "amqp", e["source"], e)
	metrics := string(h.Do("GET", "/metrics", "", nil).Body)
	require.Contains(t, metrics, `hookline_ingest_events_total{status="duplicate"} 1`)
	require.Contains(t, metrics, `hookline_amqp_messages_total{result="acknowledged"} 7`)
	require.Contains(t, metrics, `hookline_amqp_connected{connection="ingest"} 1`)
}

// Whatever can never be accepted goes to the rejected queue with the reason,
// whole and as it came, and the rest flows.
func TestPoisonIsRejected(t *testing.T) {
	url := rabbittest.VHost(t)
	h := hubtest.Start(t, byBroker(url))
	r := hubtest.NewReceiver(t)
	h.Subscribe(r.URL)
	a := h.Do("POST", "/v1/tenants", hubtest.PlatformKey, map[string]any{"companyId": "full", "limits": map[string]any{"pendingDeliveries": 1}})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	p := newPlatform(t, url)

	good := hubtest.Ringing("c", 1)
	const ringing = "demo.call.ringing"
	zip := gzipped(t, good)
	many := "[" + strings.Repeat(good+",", 1000) + good + "]"
	poison := []struct {
		reason, key string
		m           amqp.Publishing
	}{
		{"malformed_json", ringing, amqp.Publishing{Body: []byte("{")}},
		{"malformed_json", ringing, amqp.Publishing{Body: []byte("\x00\xff")}},
		{"malformed", ringing, amqp.Publishing{}},
		{"malformed", ringing, amqp.Publishing{Body: []byte("[" + good)}},
		{"malformed", ringing, amqp.Publishing{Body: []byte("[]")}},
		{"too_large", ringing, amqp.Publishing{Body: []byte(many)}},
		{"too_large", ringing, amqp.Publishing{Body: []byte(strings.Repeat(" ", 8<<20) + good)}},
		{"too_large", ringing, amqp.Publishing{ContentEncoding: "gzip", Body: gzipped(t, strings.Repeat(" ", 9<<20))}},
		{"malformed", ringing, amqp.Publishing{ContentEncoding: "gzip", Body: zip[:len(zip)-9]}},
		{"malformed", ringing, amqp.Publishing{ContentEncoding: "gzip", Body: []byte(good)}},
		{"content_encoding", ringing, amqp.Publishing{ContentEncoding: "br", Body: []byte(good)}},
		{"content_type", ringing, amqp.Publishing{ContentType: "text/xml", Body: []byte("<a/>")}},
		{"unknown_tenant", "nobody.call.ringing", amqp.Publishing{Body: []byte(good)}},
		{"routing_key", "", amqp.Publishing{Body: []byte(good)}},
		{"routing_key", "de mo.call.ringing", amqp.Publishing{Body: []byte(good)}},
		{"unknown_type", "demo.call.flown", amqp.Publishing{Body: []byte(`{"messageID":"EventFlown"}`)}},
		{"missing", "demo", amqp.Publishing{Body: []byte(`{"callID":"c"}`)}},
		{"missing", ringing, amqp.Publishing{Body: []byte(`{}`)}},
		{"type_mismatch", "demo.call.held", amqp.Publishing{Body: []byte(good)}},
		{"type_mismatch", "demo.call.held", amqp.Publishing{Body: []byte(`{"messageID":"EventRinging","callID":"c"}`)}},
		{"internal_type", "demo.hub.test", amqp.Publishing{Body: []byte(`{}`)}},
		{"foreign_company", ringing, amqp.Publishing{Body: []byte(`{"callID":"c","companyId":"acme"}`)}},
		{"wrong_type", ringing, amqp.Publishing{Body: []byte(`7`)}},
		{"invalid_utf8", ringing, amqp.Publishing{Body: []byte("{\"callID\":\"\xff\"}")}},
		{"invalid_id", ringing, amqp.Publishing{MessageId: "not an id", Body: []byte(good)}},
		{"wrong_type", ringing, amqp.Publishing{Headers: amqp.Table{"x-hookline-hops": []byte("many")}, Body: []byte(good)}},
		{"loop", ringing, amqp.Publishing{Headers: amqp.Table{"x-hookline-hops": int8(9)}, Body: []byte(good)}},
		{"id_conflict", ringing, amqp.Publishing{MessageId: "good-0", Body: []byte(good)}},
	}
	for i, bad := range poison {
		p.publish(ringing, amqp.Publishing{MessageId: fmt.Sprint("good-", i), Body: []byte(hubtest.Ringing("good", i+1))})
		bad.m.CorrelationId = fmt.Sprint(i)
		p.publish(bad.key, bad.m)
	}
	long := amqp.Table{"long": strings.Repeat("x", 100<<10), "CC": []any{"elsewhere"}}
	p.publish(ringing, amqp.Publishing{CorrelationId: "long", Headers: long, Body: []byte("{")})
	p.publish(ringing, amqp.Publishing{
		CorrelationId: "part", MessageId: "part", UserId: "guest", Expiration: "600000", Type: "t", Priority: 3, Headers: amqp.Table{"kept": int64(7)},
		Body: []byte("[" + hubtest.Ringing("good", len(poison)+1) + `,{"id":"x","type":"call.ringing","data":{"callID":true}},7]`),
	})

	pushes := r.Wait(t, len(poison)+1)
	for i, push := range pushes {
		require.Equal(t, i+1, push.N(), "in order: %s", push.Body)
	}
	rejected := map[string]amqp.Delivery{}
	for _, d := range p.rejected(len(poison) + 2) {
		rejected[d.CorrelationId] = d
	}
	for i, bad := range poison {
		d := rejected[fmt.Sprint(i)]
		require.Equal(t, bad.reason, d.Headers[rabbit.HeaderReason], "%d: %.80s %v", i, bad.m.Body, d.Headers)
		require.NotEmpty(t, d.Headers[rabbit.HeaderMessage])
		require.Equal(t, bad.key, d.RoutingKey)
		require.Equal(t, len(bad.m.Body), len(d.Body))
		require.Equal(t, rabbit.EventsExchange, d.Headers[rabbit.HeaderCame])
	}
	require.Equal(t, "dropped", rejected["long"].Headers[rabbit.HeaderDropped])
	part := rejected["part"]
	require.Equal(t, "wrong_type", part.Headers[rabbit.HeaderReason])
	require.Equal(t, "/data/callID", part.Headers[rabbit.HeaderField])
	require.EqualValues(t, 1, part.Headers[rabbit.HeaderTaken])
	require.Equal(t, "guest", part.Headers[rabbit.HeaderUser])
	require.EqualValues(t, 7, part.Headers["kept"])
	require.Equal(t, []any{"part", "t", uint8(3), "", "", amqp.Persistent}, []any{part.MessageId, part.Type, part.Priority, part.UserId, part.Expiration, part.DeliveryMode})
	var items []map[string]any
	require.NoError(t, json.Unmarshal([]byte(part.Headers[rabbit.HeaderItems].(string)), &items))
	require.Len(t, items, 2)
	require.Equal(t, []any{1.0, "x", "/data/callID"}, []any{items[0]["index"], items[0]["id"], items[0]["field"]})
	require.EqualValues(t, 2, items[1]["index"])

	// Published again as it is, once its tenant exists, it is accepted.
	a = h.Do("POST", "/v1/tenants", hubtest.PlatformKey, map[string]any{"companyId": "nobody"})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	again := rejected["12"]
	p.publish(again.RoutingKey, amqp.Publishing{Headers: again.Headers, Body: again.Body})
	hubtest.Eventually(t, "it is accepted", func() bool {
		return strings.Contains(string(h.Do("GET", "/metrics", "", nil).Body), fmt.Sprintf("hookline_ingest_events_total{status=\"accepted\"} %d", len(poison)+2))
	})
}

// Messages of a tenant whose stored events take as many bytes as they may are rejected.
func TestQuotaIsRejected(t *testing.T) {
	url := rabbittest.VHost(t)
	h := hubtest.Start(t, byBroker(url))
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"eventBytes":200}}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	p := newPlatform(t, url)
	body := fmt.Sprintf(`{"callID":"c1","partyID":%q,"thisDN":"1"}`, strings.Repeat("p", 60))
	for i := range 3 {
		p.publish("demo.call.ringing", amqp.Publishing{MessageId: fmt.Sprint("m", i), Body: []byte(body)})
		if i == 0 { // its bytes are counted before the next one is looked at
			hubtest.Eventually(t, "the first one is stored", func() bool {
				return h.Do("GET", "/v1/events/m0", h.Owner, nil).Status == http.StatusOK
			})
		}
	}
	for _, d := range p.rejected(2) {
		require.Equal(t, "quota", d.Headers[rabbit.HeaderReason])
		require.Equal(t, body, string(d.Body))
	}
}

// A hub starts, takes events, delivers and stops without its broker, whether
// nobody is there, or somebody who never answers.
func TestWithoutBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // closed already
	mute := "amqp://" + l.Addr().String() + "/"
	l2, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l2.Close())
	database := hubtest.Postgres(t)
	one := hubtest.Start(t, hubtest.InDatabase(database), byBroker(mute))
	two := hubtest.Start(t, hubtest.InDatabase(database), byBroker("amqp://"+l2.Addr().String()+"/"))
	r := hubtest.NewReceiver(t)
	one.Subscribe(r.URL)
	two.Owner = one.Owner
	for i := range 10 {
		one.Send(hubtest.Ringing("c", 2*i))
		two.Send(hubtest.Ringing("c", 2*i+1))
	}
	for i, p := range r.Wait(t, 20) {
		require.Equal(t, i, p.N())
	}
	require.Equal(t, http.StatusOK, one.Do("GET", "/readyz", "", nil).Status)
	began := time.Now()
	two.Stop()
	one.Stop()
	require.Less(t, time.Since(began), 25*time.Second, "hung on a handshake")
}

// Users of the broker as docs/operations.md makes them: the hub's may do what it
// needs, a tenant's may publish for its tenant and nothing else.
func TestUsersOfTheBroker(t *testing.T) {
	url := rabbittest.VHost(t)
	s := rabbittest.Shared(t)
	vhost := url[strings.LastIndex(url, "/")+1:]
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	user := func(name, like string) string {
		require.NoError(t, s.Manage("PUT", "/api/users/"+name, `{"password":"secret","tags":""}`))
		t.Cleanup(func() { require.NoError(t, s.Manage("DELETE", "/api/users/"+name, "")) })
		m := regexp.MustCompile(`set_permissions -p hookline ` + like + ` '(.*)' '(.*)' '(.*)'`).FindSubmatch(page)
		require.NotNil(t, m)
		body, err := json.Marshal(map[string]string{"configure": string(m[1]), "write": string(m[2]), "read": string(m[3])})
		require.NoError(t, err)
		require.NoError(t, s.Manage("PUT", "/api/permissions/"+vhost+"/"+name, string(body)))
		return strings.Replace(url, "guest:guest", name+":secret", 1)
	}
	hubs, tenants := "hub-"+vhost, "demo-"+vhost
	h := hubtest.Start(t, byBroker(user(hubs, "hub")), hubtest.OnPostgres(t))
	r := hubtest.NewReceiver(t)
	h.Subscribe(r.URL)
	newPlatform(t, url)
	hubtest.Eventually(t, "all connections of the hub", func() bool {
		metrics := string(h.Do("GET", "/metrics", "", nil).Body)
		return !slices.ContainsFunc([]string{"ingest", "rejected", "nudges"}, func(name string) bool {
			return !strings.Contains(metrics, fmt.Sprintf("hookline_amqp_connected{connection=%q} 1\n", name))
		})
	})

	at := user(tenants, "acme")
	m := regexp.MustCompile(`set_topic_permissions -p hookline acme (\S+) '(.*)' '(.*)'`).FindSubmatch(page)
	require.NotNil(t, m)
	body, err := json.Marshal(map[string]string{"exchange": string(m[1]), "write": strings.Replace(string(m[2]), "acme", "demo", 1), "read": string(m[3])})
	require.NoError(t, err)
	require.NoError(t, s.Manage("PUT", "/api/topic-permissions/"+vhost+"/"+tenants, string(body)))

	publish := func(exchange, key string) error {
		conn, err := amqp.Dial(at)
		require.NoError(t, err)
		defer conn.Close()
		ch, err := conn.Channel()
		require.NoError(t, err)
		require.NoError(t, ch.Confirm(false))
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		c, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, amqp.Publishing{Body: []byte(hubtest.Ringing("c", 1))})
		require.NoError(t, err)
		select {
		case why := <-closed:
			return why
		case <-c.Done():
		}

		// A channel that is closed ends the wait for its confirmations, too: they count as refused.
		if c.Acked() {
			return nil
		}
		return <-closed
	}
	require.NoError(t, publish(rabbit.EventsExchange, "demo.call.ringing"))
	r.Wait(t, 1)
	for exchange, key := range map[string]string{
		rabbit.EventsExchange: "demo2.call.ringing", "": rabbit.IngestQueue, rabbit.RejectedExchange: "demo.x", rabbit.NudgesExchange: "nudges",
	} {
		require.ErrorContains(t, publish(exchange, key), "ACCESS_REFUSED", "%q", exchange)
	}
}
