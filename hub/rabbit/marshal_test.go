package rabbit

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
)

func TestHeadersOfAnyType(t *testing.T) {
	for want, v := range map[string]any{
		"": nil, "x": "x", "yes": []byte("yes"), "/w==": []byte{0xff}, "true": true, "-7": int8(-7), "200": uint8(200),
		"-300":  int16(-300),
		"70000": int32(70000), "-5000000000": int64(-5e9), "1.5": float32(1.5), "2.25": 2.25,
		"1970-01-01T00:00:07Z": time.Unix(7, 0),
		"{2 100}":              amqp.Decimal{Scale: 2, Value: 100}, "map[a:1]": amqp.Table{"a": int32(1)}, "[a 1]": []any{"a", int32(1)},
	} {
		m, err := marshaler{}.Unmarshal(amqp.Delivery{Headers: amqp.Table{"h": v}})
		require.NoError(t, err)
		require.Equal(t, want, m.Metadata["h"])
	}
}

// A header cannot stand in for a property.
func TestPropertiesAreNotHeaders(t *testing.T) {
	m, err := marshaler{}.Unmarshal(amqp.Delivery{
		RoutingKey: "acme.call.held",
		Headers: amqp.Table{
			ingest.MetaUser: "acme", ingest.MetaRoutingKey: "other.call.held", ingest.MetaEncoding: "gzip",
			ingest.MetaContentType: "text/xml",
		},
	})
	require.NoError(t, err)
	require.Equal(t, "acme.call.held", m.Metadata[ingest.MetaRoutingKey])
	for _, name := range []string{ingest.MetaUser, ingest.MetaEncoding, ingest.MetaContentType} {
		require.Empty(t, m.Metadata[name])
	}
}

// A rejected message fits into the frames of every broker, whatever came.
func FuzzRejected(f *testing.F) {
	f.Add("name", []byte("value"), int64(7), uint16(300), "body", "message")
	f.Add("CC", []byte{0xff}, int64(math.MinInt64), uint16(5999), "", strings.Repeat("x", 1000))
	f.Fuzz(func(t *testing.T, name string, raw []byte, n int64, times uint16, body, text string) {
		times %= 6000
		if len(name) > 255 { // no frame has such
			name = name[:255]
		}
		own := amqp.Table{name: raw, name + "n": n, name + "t": amqp.Table{name: []any{n, string(raw), nil}}}
		for name := range own {
			if len(name) > 255 {
				delete(own, name)
			}
		}
		var many []any
		for range times {
			many = append(many, n)
		}
		own["many"] = many
		why := &ingest.Refusal{Problem: event.Problem{Code: "code", Message: text[:min(len(text), 1000)], Field: "/f"}}
		for i := range times {
			why.Items = append(why.Items, ingest.RefusedItem{Index: int(i), Problem: &why.Problem})
		}
		p := refusal{Delivery: amqp.Delivery{Headers: own, Body: []byte(body), UserId: "u"}, why: why}.publishing(time.Now())
		require.NoError(t, p.Headers.Validate())
		require.Less(t, size(p.Headers), 100<<10)
		require.Equal(t, "code", p.Headers[HeaderReason])
		require.NotContains(t, p.Headers, "CC")
		require.Empty(t, p.UserId)
		require.Equal(t, body, string(p.Body))
		if times > 0 {
			var items []map[string]any
			require.NoError(t, json.Unmarshal([]byte(p.Headers[HeaderItems].(string)), &items))
		}
		m, err := marshaler{}.Unmarshal(amqp.Delivery{Headers: own, Body: []byte(body)})
		require.NoError(t, err)
		require.Equal(t, body, string(m.Payload))
		require.True(t, utf8.ValidString(m.Metadata[name]) || !utf8.Valid(raw))
	})
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"amqp://u:p@h:5672/v", "amqps://h", "amqp://h/"} {
		require.NoError(t, CheckURL(good))
	}
	for _, bad := range []string{"http://h", "amqp://u:secret @h", "amqp://h:port", "u:secret@h", "amqp://:secret%zz@h"} {
		err := CheckURL(bad)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret")
	}
}
