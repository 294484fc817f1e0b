package console_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/consoletest"
)

// Every page of an owner shows its objects without an error, in light at 1,280 px and in dark at
// 320 px, and axe-core finds nothing.
func TestPagesOfAnOwner(t *testing.T) {
	c := consoletest.NewTenant(t)
	sink := hubtest.NewReceiver(t, 500)
	crm := c.Subscribe(sink.URL, "name", "crm", "events", []string{"cdr.*"})["id"].(string)
	c.Subscribe(sink.URL, "name", "by queue", "filter", map[string]any{"queueIds": []string{"q9"}})
	event := c.Send(hubtest.CDR("abc", 1))[0]
	sink.Wait(t, 1)
	app := c.Do("POST", "/v1/apps", c.Owner, `{"kind":"sobot","name":"desk"}`)
	require.Equal(t, 201, app.Status)

	pages := []struct{ path, text, name string }{
		{"/", "Deliveries by hour", "overview"},
		{"/subscriptions", "by queue", "subscriptions"},
		{"/subscriptions/" + crm, "In the last", "subscription"},
		{"/subscriptions/" + crm + "?tab=versions", "The first version.", "versions"},
		{"/subscriptions/" + crm + "/edit", "of the last", "subscription-edit"},
		{"/events", "cdr.call", "events"},
		{"/events/" + event, "by queue", "event"},
		{"/tail", "Live", "tail"},
		{"/keys", "desk", "keys"},
		{"/audit", "subscription.create", "audit"},
	}
	wide := c.Open(t, access.Owner, "/")
	narrow := c.Open(t, access.Owner, "/", consoletest.Narrow, consoletest.Dark)
	for _, page := range pages {
		t.Run(page.name, func(t *testing.T) {
			for size, p := range map[string]*consoletest.Page{"": wide, "-320-dark": narrow} {
				p.T(t)
				p.Go(page.path)
				p.Until(page.text, "document.body.textContent.toLowerCase().includes('"+strings.ToLower(page.text)+"')")
				p.Accessible()
				p.Fits()
				p.Picture(page.name + size)
				p.Clean()
			}
		})
	}
}
