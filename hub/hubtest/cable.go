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

// Cable is the way from a process to its database, or to a broker.
type Cable struct {
	URL string // of the server, by this way

	t     testing.TB
	proxy *toxiproxy.Proxy
}

// NewCable to the server of a URL. It goes with the test.
func NewCable(t testing.TB, server string) *Cable {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	none := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()) // it serves nothing
	c := &Cable{t: t, proxy: toxiproxy.NewProxy(none, t.Name(), "127.0.0.1:0", u.Host)}
	require.NoError(t, c.proxy.Start())
	u.Host = c.proxy.Listen
	c.URL = u.String()
	t.Cleanup(func() {
		c.Mend()
		c.proxy.Stop()
	})
	return c
}

// Cut the cable: it carries nothing, and neither end hears why. After Mend what was
// asked arrives, late; answers are lost, and the connections end.
func (c *Cable) Cut() {
	c.t.Helper()
	c.Mend()
	c.add("latency", "upstream", "latency", (24 * time.Hour).Milliseconds())
	c.add("timeout", "downstream", "timeout", 0) // for ever
}

// Slow lets everything take so much longer, each way.
func (c *Cable) Slow(by time.Duration) {
	c.t.Helper()
	c.Mend()
	c.add("latency", "upstream", "latency", by.Milliseconds())
	c.add("latency", "downstream", "latency", by.Milliseconds())
}

func (c *Cable) add(toxic, way, attribute string, value int64) {
	c.t.Helper()
	_, err := c.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":{%q:%d}}`, toxic, way, attribute, value)))
	require.NoError(c.t, err)
}

// Mend the cable: it is as good as new.
func (c *Cable) Mend() { c.proxy.Toxics.ResetToxics(c.t.Context()) }

// Drop all connections: both ends hear that they ended. New ones can be made.
func (c *Cable) Drop() {
	c.t.Helper()
	c.proxy.Stop()
	require.NoError(c.t, c.proxy.Start())
}
