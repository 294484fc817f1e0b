package console_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/consoletest"
)

// door is an address that stays while the hub behind it stops and starts at another.
type door struct {
	net.Listener
	mu   sync.Mutex
	hub  string // host and port
	work sync.WaitGroup
}

func newDoor(t *testing.T, h *hubtest.Hub) *door {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &door{Listener: l}
	d.leadTo(h)
	d.work.Go(d.serve)
	t.Cleanup(func() {
		_ = l.Close()
		h.Stop() // ends the connections that are open
		d.work.Wait()
	})
	return d
}

func (d *door) leadTo(h *hubtest.Hub) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hub = strings.TrimPrefix(h.URL, "http://")
}

func (d *door) serve() {
	for {
		in, err := d.Accept()
		if err != nil {
			return
		}
		d.work.Go(func() { d.pass(in) })
	}
}

// pass copies both ways until either side ends.
func (d *door) pass(in net.Conn) {
	defer in.Close()
	d.mu.Lock()
	hub := d.hub
	d.mu.Unlock()
	out, err := net.DialTimeout("tcp", hub, time.Minute) //nolint:noctx // it has its own deadline
	if err != nil {
		return
	}
	defer out.Close()

	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(in, out)
		_ = in.Close()
	})
	_, _ = io.Copy(out, in)
	_ = out.Close()
	back.Wait()
}

// status is an event of an agent that is in a state since some seconds ago.
func status(agent string, login, reason, work int, ago time.Duration) string {
	return fmt.Sprintf(`{"type":"agent.status","data":{"agentUUID":"u-%[1]s","agentID":"%[1]s","agentName":"Agent %[1]s","startTime":%[2]d,`+
		`"loginStatus":%[3]d,"notReadyStatus":%[4]d,"workStatus":%[5]d}}`, agent, time.Now().Add(-ago).UnixMilli(), login, reason, work)
}

// entered is an event of somebody who waits in a queue.
func entered(contact, queue string, ago time.Duration) string {
	return fmt.Sprintf(`{"type":"queue.entered","data":{"contactId":%q,"media":"call","queueId":%q,"enteredAt":%d}}`,
		contact, queue, time.Now().Add(-ago).UnixMilli())
}

func putCentre(t *testing.T, h *hubtest.Hub) {
	t.Helper()
	a := h.Do("PUT", "/v1/directory", h.Owner, `{
		"agents":[{"agentUUID":"u-1","agentID":"1","agentName":"Agent 1","queueIds":["7"]},{"agentUUID":"u-2","agentID":"2","agentName":"Agent 2","queueIds":["7","8"]}],
		"queues":[{"queueId":"7","name":"Sales","media":"call"},{"queueId":"8","name":"Support","media":"call"}]}`)
	require.Equal(t, 200, a.Status, "%s", a.Body)
}

// dataOf is an expression for an attribute of an agent on the board.
func dataOf(agent string) string {
	return `document.querySelector('[data-agent="uuid/u-` + agent + `"]')?.dataset.state`
}

// The board shows what changes, says when it is stale, and comes back by itself.
func TestWallboardIsLive(t *testing.T) {
	h := hubtest.Start(t, func(c *config.Config) { c.TestClock = true })
	d := newDoor(t, h)
	c := consoletest.On(t, h)
	putCentre(t, c.Hub)
	c.SendTogether(status("1", 1, 0, 1, 5*time.Minute), status("2", 2, 11, 2, 2*time.Hour), status("3", 1, 0, 7, time.Minute),
		entered("a", "7", 90*time.Second), entered("b", "8", 2*time.Second))
	c.URL = "http://" + d.Addr().String()

	p := c.Open(t, access.Query, "/wallboard")
	p.See("Agent 3")
	p.Until("agent 1 is ready", dataOf("1")+" === 'ready'")
	p.Until("agent 2 is away", dataOf("2")+" === 'away'")
	p.See("break")
	p.Until("somebody waits too long", `document.querySelector('[data-queue="7"].alarm')?.innerText.includes("Alarm")`)
	p.Until("times go on", `(window.was ??= document.querySelector('[data-agent="uuid/u-1"] .agent-time').innerText) !==
		document.querySelector('[data-agent="uuid/u-1"] .agent-time').innerText`)
	p.Accessible()
	p.Picture("wallboard")

	// What happens is on the screen without a reload.
	c.Send(status("1", 1, 0, 7, 0))
	p.Until("agent 1 talks", dataOf("1")+" === 'talking'")

	// The hub stops. The page's clock is set forward, instead of waiting.
	h.Stop()
	p.See("Reconnecting")
	consoletest.Eval[bool](p, `(() => { const real = performance.now.bind(performance); window.later = 0;
		performance.now = () => real() + window.later; window.later = 21_000; return true })()`)
	p.See("There is no news from the hub since then")
	p.Accessible()
	p.Picture("wallboard-stale")
	consoletest.Eval[bool](p, `(window.later = 61_000, true)`)
	p.See("These figures are old")
	p.Until("all is grey", `getComputedStyle(document.querySelector(".board")).filter.includes("grayscale")`)

	// It starts again, and the board is there again.
	h.Restart()
	d.leadTo(h)
	p.Gone("These figures are old")
	p.Until("it is live", dataOf("1")+" === 'talking' && !document.querySelector('.old')")
	p.Clean()
}

// The board on all screens: with nothing, a few, and many agents.
func TestWallboardLooks(t *testing.T) {
	c := consoletest.NewTenant(t)
	empty := c.Open(t, access.Owner, "/wallboard")
	empty.See("No queue yet")
	empty.See("No agent is logged in")
	empty.Accessible()
	empty.Picture("wallboard-empty")
	empty.Clean()

	putCentre(t, c.Hub)
	events := []string{entered("a", "7", 40*time.Second), entered("b", "8", 3*time.Minute)}
	works := []int{1, 2, 4, 5, 6, 7, 8}
	for i := range 45 {
		events = append(events, status(fmt.Sprint(i+1), 1+i%7%2*(i%3)/2, 12, works[i%len(works)], time.Duration(i+1)*47*time.Second))
	}
	c.SendTogether(events...)
	for _, v := range []struct {
		name    string
		path    string
		options []consoletest.Option
	}{
		{"wallboard-1280", "/wallboard", nil},
		{"wallboard-1280-dark", "/wallboard", []consoletest.Option{consoletest.Dark}},
		{"wallboard-320", "/wallboard", []consoletest.Option{consoletest.Narrow}},
		{"wallboard-320-dark", "/wallboard", []consoletest.Option{consoletest.Narrow, consoletest.Dark}},
		{"wallboard-full", "/wallboard?full=1", []consoletest.Option{consoletest.Size(1920, 1080), consoletest.Dark}},
	} {
		p := c.Open(t, access.Query, v.path, v.options...)
		p.Until("squares", "document.querySelectorAll('.square').length === 45")
		p.See("Support")
		p.Fits()
		p.Accessible()
		p.Picture(v.name)
		p.Clean()
	}

	// The query of the address chooses the queue, and so whose agents are shown; thresholds are kept there too.
	p := c.Open(t, access.Query, "/wallboard?queue=8")
	p.Until("the agent of the queue", "document.querySelectorAll('.agent-tile').length === 1")
	p.Click("Thresholds")
	p.Fill("Longest wait, s: watch from", "9")
	p.Fill("Longest wait, s: alarm from", "5")
	p.See("The alarm must not come before the watch.")
	p.Accessible()
	p.Fill("Longest wait, s: watch from", "")
	p.Fill("Longest wait, s: alarm from", "9000")
	p.Click("Use these")
	p.Until("no alarm", `document.querySelector('[data-queue="8"].ok')`)
	require.Contains(t, consoletest.Eval[string](p, "location.search"), "wait%7E%7E9000")
	p.Clean()
}
