package hub

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/dialect/comm100"
	"github.com/hookline/hookline/hub/dialect/deepcall"
	"github.com/hookline/hookline/hub/dialect/liveperson"
	"github.com/hookline/hookline/hub/dialect/sobot"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/report"
)

// dialects returns the vendors' APIs.
func (h *Hub) dialects(auth *access.Authenticator, api *api.API) []dialect.Dialect {
	// A caller who was recognized waits until there is room for the request.
	admit := func(r *http.Request, c access.Caller, err error) (access.Caller, error) {
		if err == nil {
			err = h.bounds.admit(r, c)
		}
		return c, err
	}
	byKey := func(r *http.Request, key string) (access.Caller, error) {
		c, err := auth.AuthenticateKey(r, key)
		return admit(r, c, err)
	}
	byVendor := func(inURL bool) func(*http.Request) (access.Caller, error) {
		return func(r *http.Request) (access.Caller, error) {
			c, err := auth.AuthenticateVendor(r, inURL)
			return admit(r, c, err)
		}
	}
	byOAuth := func(r *http.Request) (access.Caller, error) {
		c, err := auth.AuthenticateOAuth(r)
		return admit(r, c, err)
	}

	kit := h.kit()
	return []dialect.Dialect{
		&sobot.API{
			Kit:    kit,
			Caller: byVendor(false), StreamCaller: byVendor(true), Tokens: auth.Tokens, Wrong: auth.Wrong,
			Records: h.folds, History: h.folds, Reports: h.folds, Listen: api.Listen,
			Watches: &h.watches, Holds: func(c access.Caller) bool { return h.book.Holds(c, time.Now()) },
			Directory:        h.db.Directory().Of,
			SealNumber:       func(companyID, number string) string { return h.cfg.Box.Numbers(companyID).Seal(number) },
			DepartmentAgents: h.departmentAgents,
			Settings: func(tenant int64) map[string]any {
				if t := h.book.Tenant(tenant); t != nil {
					return t.Settings
				}
				return nil
			},
		},
		&deepcall.API{Kit: kit, Caller: byKey, Tenant: h.book.TenantOf},
		&liveperson.API{Kit: kit, Caller: byOAuth},
		&comm100.API{
			Kit: kit, Caller: byKey, Settings: h.comm100Settings,
			Address: func(r *http.Request) string { return access.ClientIP(r, auth.Trusted).String() },
		},
	}
}

// kit returns what all who answer queries need.
func (h *Hub) kit() dialect.Kit {
	return dialect.Kit{Clock: h.now, TenantZone: h.zone, Boards: h.boards, Logger: h.log}
}

// nativeKit is the kit of our own API, whose boards do not wait for the folds.
func (h *Hub) nativeKit() dialect.Kit {
	kit := h.kit()
	kit.Boards = h.boards.Over(h.folds.AsIs())
	return kit
}

// departmentAgents returns the agentUUIDs of a department, by the directory.
func (h *Hub) departmentAgents(tenant int64, department string) []string {
	return h.db.Directory().Of(tenant).InDepartment(department)
}

// reportSettings returns the settings of a tenant that reports go by.
func (h *Hub) reportSettings(tenant int64) (report.Settings, error) {
	var of map[string]any
	if t := h.book.Tenant(tenant); t != nil {
		of = t.Settings
	}
	return report.NewSettings(of, h.db.Directory().Of(tenant))
}

// comm100Settings returns the settings of a tenant, which were checked when they were
// set.
func (h *Hub) comm100Settings(tenant int64) (s comm100.Settings) {
	t := h.book.Tenant(tenant)
	if t == nil {
		return s
	}

	calls, _ := t.Settings["comm100.rateLimit"].(float64)
	s.RateLimit = int(calls)

	ids, _ := t.Settings["comm100.statusIds"].(map[string]any)
	if len(ids) > 0 {
		s.StatusIDs = map[int64]string{}
	}
	for code, id := range ids {
		if n, err := strconv.ParseInt(code, 10, 64); err == nil {
			s.StatusIDs[n], _ = id.(string)
		}
	}
	return s
}

// boardSettings returns after how long without an event a tenant's calls and chats
// count as over.
func (h *Hub) boardSettings(tenant int64) live.Settings {
	t := h.book.Tenant(tenant)
	if t == nil {
		return live.Settings{}
	}
	ms := func(name string) int64 {
		hours, _ := t.Settings[name].(float64)
		return int64(hours * 60 * 60 * 1000)
	}
	return live.Settings{StaleCall: ms("staleCallHours"), StaleChat: ms("staleChatHours")}
}

// now returns the moment that a query is about, in Unix ms. Tests may set it.
func (h *Hub) now(r *http.Request) (int64, error) {
	values := r.Header.Values(dialect.NowHeader)
	if !h.cfg.TestClock || len(values) == 0 {
		return time.Now().UnixMilli(), nil
	}
	ms, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || len(values) > 1 || ms < 0 || ms > lastInstant {
		return 0, errors.New(dialect.NowHeader + ": must be a time in Unix milliseconds")
	}
	return ms, nil
}

// lastInstant is the end of the year 9999.
const lastInstant = 253_402_300_799_999

// zone returns the time zone that a tenant has set; nil when it has set none. It
// was checked when it was set, but by a program that may have known more zones.
func (h *Hub) zone(tenant int64) (*time.Location, error) {
	t := h.book.Tenant(tenant)
	if t == nil || t.Timezone == "" {
		return nil, nil //nolint:nilnil // no zone is no error
	}
	loc, ok := dialect.ZoneNamed(t.Timezone)
	if !ok {
		return nil, fmt.Errorf("time zone of tenant %s: %q cannot be read", t.CompanyID, t.Timezone)
	}
	return loc, nil
}
