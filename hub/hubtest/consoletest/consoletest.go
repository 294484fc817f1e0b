// Package consoletest opens pages of the console in a real browser. All tests of a package
// share one Chromium and one hub; each has a tenant of its own on it.
//
//	func TestMain(m *testing.M) { os.Exit(consoletest.Main(m)) }
//
//	func TestMyPage(t *testing.T) {
//		c := consoletest.NewTenant(t)
//		p := c.Open(t, access.Owner, "/my-page", consoletest.Narrow, consoletest.Dark)
//		p.See("text that must appear")
//		p.Clean() // neither errors in the browser's console, nor violations of its policy
//		p.Accessible()
//	}
package consoletest

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// patience is how long a page may take for what must happen: long, as the machine may be busy.
const patience = time.Minute

//go:embed axe.min.js
var axe string

// shared is what all tests of the package use.
var shared struct {
	mu      sync.Mutex
	life    *lifetime
	hub     *hubtest.Hub
	browser context.Context //nolint:containedctx // it lasts as long as the test binary
	tenants int
}

// Main runs the tests of a package, and then stops the browser and the hub.
func Main(m *testing.M) int {
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.life != nil {
		shared.life.end()
		if shared.life.failed && code == 0 {
			code = 1
		}
	}
	return code
}

// start starts the browser and the hub, once.
func start(t testing.TB) (*hubtest.Hub, context.Context) {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.life == nil {
		shared.life = &lifetime{}
	}
	if shared.hub == nil {
		shared.hub = hubtest.Start(shared.life, func(c *config.Config) { c.TestClock = true })
	}
	if shared.browser == nil {
		shared.browser = newBrowser(t, shared.life)
	}
	return shared.hub, shared.browser
}

// newBrowser starts a headless Chromium. A missing one fails the test.
func newBrowser(t testing.TB, life *lifetime) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	require.NotEmpty(t, path, "there is no Chromium to show the console: install chromium (Debian: apt-get install chromium)")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	life.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	life.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "Chromium does not start")
	return ctx
}

// Tenant is a tenant of a test on the shared hub. Its Owner key and methods are those of the
// tenant.
type Tenant struct {
	*hubtest.Hub
	Company string
	keys    map[access.Role]string
}

// NewTenant makes a tenant for the test.
func NewTenant(t testing.TB) *Tenant {
	t.Helper()
	hub, _ := start(t)
	shared.mu.Lock()
	shared.tenants++
	company := fmt.Sprintf("t%d", shared.tenants)
	shared.mu.Unlock()
	return tenantOf(t, hub, company)
}

// On makes a tenant for the test on a hub of its own, which a test needs that stops it.
func On(t testing.TB, hub *hubtest.Hub) *Tenant {
	t.Helper()
	start(t)
	return tenantOf(t, hub, "own")
}

func tenantOf(t testing.TB, hub *hubtest.Hub, company string) *Tenant {
	t.Helper()
	c := &Tenant{Hub: hub.ForTenant(t, company), Company: company, keys: map[access.Role]string{}}
	c.keys[access.Owner] = c.Owner
	c.keys[access.Platform] = hubtest.PlatformKey
	return c
}

// Key returns a key of the tenant with a role, which is made at the first call.
func (c *Tenant) Key(t testing.TB, role access.Role) string {
	t.Helper()
	if c.keys[role] == "" {
		a := c.Do("POST", "/v1/tenants/"+c.Company+"/keys", c.Owner, map[string]any{"role": role, "name": string(role)})
		require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
		c.keys[role] = a.JSON(t)["key"].(string)
	}
	return c.keys[role]
}

// Option changes how a page is opened.
type Option func(*view)

type view struct {
	width, height int64
	dark          bool
	zone          string
}

// Narrow opens a page as a small telephone shows it, 320 px wide.
func Narrow(v *view) { v.width, v.height = 320, 640 }

// Dark opens a page in the dark theme.
func Dark(v *view) { v.dark = true }

// Size opens a page in a window of that size; the default is 1280 by 800.
func Size(width, height int64) Option { return func(v *view) { v.width, v.height = width, height } }

// Zone opens a page in a browser of that time zone; the default is UTC.
func Zone(name string) Option { return func(v *view) { v.zone = name } }

// Page is an open page, in a browser profile of its own.
type Page struct {
	t    testing.TB
	Ctx  context.Context //nolint:containedctx // of the tab, for further actions of chromedp
	Base string          // URL of the hub

	mu       sync.Mutex
	problems []string
	requests []string
}

// Open opens a page as somebody signed in with a key of a role. path is below /console. With
// the role "" nobody is signed in.
func (c *Tenant) Open(t testing.TB, role access.Role, path string, options ...Option) *Page {
	t.Helper()
	v := view{width: 1280, height: 800, zone: "UTC"}
	for _, o := range options {
		o(&v)
	}
	_, browser := start(t)
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &Page{t: t, Ctx: ctx, Base: c.URL}

	p.Do(chromedp.EmulateViewport(v.width, v.height))
	require.NoError(t, chromedp.Listen(ctx, p.listen))
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	call(p, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: v.zone})
	if role != "" {
		p.signIn(c.Key(t, role))
	}
	p.Go(path)
	return p
}

// signIn gives the page the cookie of a session.
func (p *Page) signIn(key string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.Base+"/v1/session", nil)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	require.Equal(p.t, http.StatusNoContent, resp.StatusCode)
	yes := true
	for _, c := range resp.Cookies() {
		call(p, network.SetCookie, network.SetCookieParams{
			Name: c.Name, Value: c.Value, URL: p.Base, HTTPOnly: &yes, SameSite: network.CookieSameSiteStrict,
		})
	}
}

// call calls a command of the browser.
func call[P, R any](p *Page, c cdp.Command[P, R], params P) R {
	p.t.Helper()
	r, err := chromedp.Run(p.Ctx, func(ctx context.Context, t *chromedp.Target) (R, error) {
		return cdp.Call(ctx, t, c, params)
	})
	require.NoError(p.t, err)
	return r
}

// listen notes what goes wrong in the browser, and what it asks for.
func (p *Page) listen(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, "exception: "+e.ExceptionDetails.Text+" "+describe(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			var texts []string
			for _, a := range e.Args {
				texts = append(texts, describe(a))
			}
			p.problems = append(p.problems, "console: "+strings.Join(texts, " "))
		}
	case *log.EventEntryAdded:
		// A refused request is shown to people by the page; the browser notes it too.
		if e.Entry.Level == "error" && e.Entry.Source != "network" {
			p.problems = append(p.problems, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	}
}

func describe(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description + string(o.Value)
}

// T lets a subtest go on with the page: what fails then fails the subtest.
func (p *Page) T(t testing.TB) { p.t = t }

// Do does actions of chromedp, within a minute.
func (p *Page) Do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.Ctx, actions...))
}

// Go opens a path below /console.
func (p *Page) Go(path string) {
	p.t.Helper()
	p.Do(chromedp.Navigate(p.Base + "/console" + path))
}

// Eval evaluates an expression in the page; a promise is awaited.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.Ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, "%s", expression)
	return v
}

// Until waits until an expression is true in the page.
func (p *Page) Until(what, expression string) {
	p.t.Helper()
	_, err := chromedp.Run(p.Ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingTimeout(patience),
		chromedp.WithPollingInterval(20*time.Millisecond)))
	if err != nil {
		require.Fail(p.t, "the page does not come to it: "+what, "%v\nproblems: %v\nit shows:\n%s", err, p.Problems(),
			Eval[string](p, "location.href + '\\n' + document.body.innerText.slice(0, 3000)"))
	}
}

// See waits until the page shows a text.
func (p *Page) See(text string) {
	p.t.Helper()
	p.Until("text "+text, "document.body.innerText.includes("+quote(text)+")")
}

// Gone waits until the page does not show a text.
func (p *Page) Gone(text string) {
	p.t.Helper()
	p.Until("no text "+text, "!document.body.innerText.includes("+quote(text)+")")
}

// named is an expression for the first element that can be seen, of some kinds, with a name:
// what it says, or its label.
func named(kinds, name string) string {
	return `[...document.querySelectorAll(` + quote(kinds) + `)].find((e) => e.checkVisibility() && !e.closest("[inert]") &&
		((e.getAttribute("aria-label") ?? e.innerText ?? "").trim() === ` + quote(name) + ` ||
		 (e.labels && [...e.labels].some((l) => l.innerText.trim().startsWith(` + quote(name) + `)))))`
}

// Click clicks the button or link with a name, or the box whose label begins with it.
func (p *Page) Click(name string) {
	p.t.Helper()
	e := named("button, a, [role=tab], input[type=checkbox], input[type=radio], summary", name)
	p.Until("button "+name, e)
	Eval[bool](p, "("+e+").click(), true")
}

// Fill types a text into the field with a label, in place of what it holds.
func (p *Page) Fill(label, text string) {
	p.t.Helper()
	e := named("input, textarea, select", label)
	p.Until("field "+label, e)
	Eval[bool](p, `(() => { const e = `+e+`; e.focus();
		const set = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(e), "value").set; set.call(e, `+quote(text)+`);
		e.dispatchEvent(new Event("input", {bubbles: true})); e.dispatchEvent(new Event("change", {bubbles: true})); return true })()`)
}

// Press presses a key of the keyboard, such as "j" or kb.Enter.
func (p *Page) Press(keys string) {
	p.t.Helper()
	p.Do(chromedp.KeyEvent(keys))
}

// Problems returns what went wrong in the browser so far: exceptions, errors in its console,
// violations of the page's policy.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.problems...)
}

// Requests returns the URLs that the page has asked for.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// Clean requires that nothing went wrong in the browser.
func (p *Page) Clean() {
	p.t.Helper()
	require.Empty(p.t, p.Problems())
}

// Fits requires that the page does not scroll sideways.
func (p *Page) Fits() {
	p.t.Helper()
	over := Eval[string](p, `(() => { const w = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= w) return "";
		return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > w + 1 && !e.closest(".table-box, .code, .tabs, .scroll"))
			.slice(0, 5).map((e) => e.tagName + "." + e.className).join(", ") || "?" })()`)
	require.Empty(p.t, over, "the page is wider than its window")
}

// Accessible requires that axe-core finds no violation of WCAG 2.2 A or AA.
func (p *Page) Accessible() {
	p.t.Helper()
	if !Eval[bool](p, "!!window.axe") {
		Eval[bool](p, axe+"\n;true")
	}
	found := Eval[string](p, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then((r) =>
		r.violations.map((v) => v.id + ": " + v.help + "\n" + v.nodes.slice(0, 4).map((n) => "  " + n.html.slice(0, 200) + "\n    " +
			n.failureSummary.replaceAll("\n", " ")).join("\n")).join("\n"))`)
	require.Empty(p.t, found, "axe-core: violations on %s", Eval[string](p, "location.pathname"))
}

// Picture writes what the page shows to a PNG in the folder that CONSOLE_PICTURES names, for
// people who look at it. Without it, it does nothing.
func (p *Page) Picture(name string) {
	p.t.Helper()
	dir := os.Getenv("CONSOLE_PICTURES")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.Ctx, chromedp.FullScreenshot(100))
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // cannot happen: it is a text
	}
	return string(b)
}
