package console_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/consoletest"
)

// The list of deliveries, its filters, and one delivery with what was sent and answered.
func TestDeliveries(t *testing.T) {
	c := consoletest.NewTenant(t)
	good, bad := hubtest.NewReceiver(t), hubtest.NewReceiver(t, 503, 503)
	c.Subscribe(good.URL, "name", "crm")
	c.Subscribe(bad.URL, "name", "shaky", "retry", map[string]any{"cdr": map[string]any{"schedule": []string{"1s", "1s"}, "jitter": 0}})
	c.Send(hubtest.CDR("abc", 1), hubtest.Ringing("abc", 1))
	bad.Wait(t, 4)

	p := c.Open(t, access.Owner, "/deliveries")
	p.See("crm")
	p.Until("four rows", "document.querySelectorAll('[data-row]').length === 4")
	p.See("Delivered")
	p.Accessible()
	p.Picture("deliveries")

	p.Click("shaky")
	p.Until("two rows", "document.querySelectorAll('[data-row]').length === 2")
	require.Contains(t, consoletest.Eval[string](p, "location.search"), "subscription=")

	p.Press("j")
	p.Press("\r")
	p.See("Attempts")
	p.See("Request")
	p.Until("the body as it was sent", "document.querySelector('.exchange .code')?.innerText.includes('callID')")
	p.Accessible()
	p.Picture("delivery")
	p.Clean()
	for _, url := range p.Requests() {
		require.True(t, strings.HasPrefix(url, p.Base) || strings.HasPrefix(url, "data:"), "asked elsewhere: %s", url)
	}

	for _, dark := range []bool{false, true} {
		options := []consoletest.Option{consoletest.Narrow}
		name := "deliveries-320"
		if dark {
			options, name = append(options, consoletest.Dark), name+"-dark"
		}
		n := c.Open(t, access.Owner, "/deliveries", options...)
		n.See("Delivered")
		n.Fits()
		n.Accessible()
		n.Picture(name)
	}
}
