package hubtest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// Cable is a connection that tests can cut, from a process to its database or to a
// broker.
type Cable struct {
	URL string // of the server, through the cable

	t     testing.TB
	proxy *toxiproxy.Proxy
}

// NewCable returns a cable to the server of a URL. It is removed at the end of the
// test.
func NewCable(t testing.TB, server string) *Cable {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()) // a proxy needs it; it does not run
	c := &Cable{t: t, proxy: toxiproxy.NewProxy(api, t.Name(), "127.0.0.1:0", u.Host)}
	require.NoError(t, c.proxy.Start())
	u.Host = c.proxy.Listen
	c.URL = u.String()
	t.Cleanup(func() {
		c.Mend()
		c.proxy.Stop()
	})
	return c
}

// Cut cuts the cable: it carries nothing, and neither end notices. After Mend, requests
// arrive late, answers are lost, and the connections end.
func (c *Cable) Cut() {
	c.t.Helper()
	c.Mend()
	c.add("latency", "upstream", "latency", (24 * time.Hour).Milliseconds())
	c.add("timeout", "downstream", "timeout", 0) // without an end
}

// Slow delays everything by some time, in each direction.
func (c *Cable) Slow(by time.Duration) {
	c.t.Helper()
	c.Mend()
	c.add("latency", "upstream", "latency", by.Milliseconds())
	c.add("latency", "downstream", "latency", by.Milliseconds())
}

// add adds one of toxiproxy's faults, with one attribute, to a direction.
func (c *Cable) add(toxic, way, attribute string, value int64) {
	c.t.Helper()
	text := fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":{%q:%d}}`, toxic, way, attribute, value)
	_, err := c.proxy.Toxics.AddToxicJson(strings.NewReader(text))
	require.NoError(c.t, err)
}

// Mend repairs the cable.
func (c *Cable) Mend() { c.proxy.Toxics.ResetToxics(c.t.Context()) }

// Drop ends all connections, and both ends notice. New ones can be made.
func (c *Cable) Drop() {
	c.t.Helper()
	c.proxy.Stop()
	require.NoError(c.t, c.proxy.Start())
}
