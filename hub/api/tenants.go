package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the zones of a tenant must not depend on the machine
	"unicode"
	"unicode/utf8"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/problem"
)

// DefaultTimezone is the time zone of a tenant that names no other.
const DefaultTimezone = dialect.DefaultZone

// TenantStore keeps the tenants. Each change is also a row of the audit log, under
// the name of by.
type TenantStore interface {
	// CreateTenant commits t and sets its No, Version and times; ErrExists if there
	// is, or was, a tenant with its CompanyID.
	CreateTenant(ctx context.Context, by access.Caller, t *access.Tenant) error
	// FindTenant finds a tenant by its companyId; ErrNotFound.
	FindTenant(ctx context.Context, companyID string) (*access.Tenant, error)
	// FindTenants lists at most limit tenants with numbers below before, newest
	// first; before 0 starts at the newest.
	FindTenants(ctx context.Context, before int64, limit int) ([]access.Tenant, error)
	// UpdateTenant applies change to the tenant and commits it under the next
	// version, in one transaction. After an error of change everything stays as it
	// was. ErrVersion if version is neither 0 nor the current one; ErrNotFound.
	UpdateTenant(ctx context.Context, by access.Caller, companyID string, version int64,
		change func(*access.Tenant) error) (*access.Tenant, error)
}

// tenantBody is what callers may say about a tenant.
type tenantBody struct {
	CompanyID     string         `json:"companyId"`
	Name          string         `json:"name"`
	Timezone      string         `json:"timezone"`
	Settings      map[string]any `json:"settings"`
	Limits        limitsBody     `json:"limits"`
	AllowNetworks []string       `json:"allowNetworks"`
	// all keys of the tenant are refused with 403; its backlog still drains
	Suspended bool `json:"suspended"`
}

// limitsBody holds the limits that are given; absent and null ones are the defaults.
type limitsBody struct {
	EventsPerSecond   *int `json:"eventsPerSecond,omitempty"`
	Subscriptions     *int `json:"subscriptions,omitempty"`
	Keys              *int `json:"keys,omitempty"`
	PendingDeliveries *int `json:"pendingDeliveries,omitempty"`
	SSEStreams        *int `json:"sseStreams,omitempty"`
	Exports           *int `json:"exports,omitempty"`
	EventBytes        *int `json:"eventBytes,omitempty"`
	RecordingBytes    *int `json:"recordingBytes,omitempty"`
	Sources           *int `json:"sources,omitempty"`
}

// pair pairs each limit of a body with that of a tenant.
func (b *limitsBody) pair(l *access.Limits) []limitPair {
	return []limitPair{
		{"eventsPerSecond", maxAnyLimit, &b.EventsPerSecond, &l.EventsPerSecond},
		{"subscriptions", maxAnyLimit, &b.Subscriptions, &l.Subscriptions},
		{"keys", maxAnyLimit, &b.Keys, &l.Keys},
		{"pendingDeliveries", maxAnyLimit, &b.PendingDeliveries, &l.PendingDeliveries},
		{"sseStreams", maxAnyLimit, &b.SSEStreams, &l.SSEStreams},
		{"exports", maxAnyLimit, &b.Exports, &l.Exports},
		{"eventBytes", maxByteLimit, &b.EventBytes, &l.EventBytes},
		{"recordingBytes", maxByteLimit, &b.RecordingBytes, &l.RecordingBytes},
		{"sources", maxAnyLimit, &b.Sources, &l.Sources},
	}
}

// limitPair is one limit: as a body says it, and as the tenant keeps it.
type limitPair struct {
	name    string
	most    int64 // that it may be set to
	inBody  **int
	inStore *int // 0: the default
}

// bodyOf returns the body that describes a tenant: a merge patch is merged into it.
func bodyOf(t *access.Tenant) tenantBody {
	b := tenantBody{
		CompanyID: t.CompanyID, Name: t.Name, Timezone: t.Timezone, Settings: t.Settings, AllowNetworks: t.AllowNetworks,
		Suspended: t.SuspendedAt != nil,
	}

	for _, l := range b.Limits.pair(&t.Limits) {
		if *l.inStore != 0 {
			*l.inBody = l.inStore
		}
	}
	return b
}

// tenantView is a tenant as callers see it.
type tenantView struct {
	CompanyID     string         `json:"companyId"`
	Name          string         `json:"name"`
	Timezone      string         `json:"timezone"`
	Settings      map[string]any `json:"settings"`
	Limits        access.Limits  `json:"limits"` // those in force
	AllowNetworks []string       `json:"allowNetworks"`
	Suspended     bool           `json:"suspended"`
	SuspendedAt   *Time          `json:"suspendedAt,omitempty"`
	Version       int64          `json:"version"`
	CreatedAt     Time           `json:"createdAt"`
	UpdatedAt     Time           `json:"updatedAt"`
}

func viewTenant(t *access.Tenant) tenantView {
	v := tenantView{
		CompanyID: t.CompanyID, Name: t.Name, Timezone: t.Timezone,
		Settings: t.Settings, Limits: t.Limits.Effective(), AllowNetworks: t.AllowNetworks,
		Suspended: t.SuspendedAt != nil, SuspendedAt: timePtr(t.SuspendedAt),
		Version: t.Version, CreatedAt: Time(t.CreatedAt), UpdatedAt: Time(t.UpdatedAt),
	}

	if v.Settings == nil {
		v.Settings = map[string]any{}
	}
	if v.AllowNetworks == nil {
		v.AllowNetworks = []string{}
	}

	return v
}

// CreateTenant is POST /v1/tenants.
func (a *API) CreateTenant(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var in tenantBody
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}

	t := &access.Tenant{CompanyID: in.CompanyID}
	if err := checkCompanyID(in.CompanyID); err != nil {
		return 0, nil, err
	}
	if err := in.apply(t, a.now()); err != nil {
		return 0, nil, err
	}

	// A change that has begun is finished, and known to the book, even if the caller goes away.
	ctx := context.WithoutCancel(r.Context())
	a.changes.Lock()
	defer a.changes.Unlock()
	if err := a.Tenants.CreateTenant(ctx, c, t); err != nil {
		return 0, nil, err
	}

	a.Book.PutTenant(*t)
	return http.StatusCreated, versioned(viewTenant(t), t.Version).at("/v1/tenants/" + t.CompanyID), nil
}

// ListTenants is GET /v1/tenants.
func (a *API) ListTenants(r *http.Request, _ access.Caller, _ httprouter.Params) (int, any, error) {
	var before int64
	limit, err := a.readPage(r, "tenants", &before)
	if err != nil {
		return 0, nil, err
	}

	tenants, err := a.Tenants.FindTenants(r.Context(), before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	tenants, next := cutPage(a.Cursors, "tenants", tenants, limit, func(t *access.Tenant) any { return t.No })
	return http.StatusOK, pageOf(viewsOf(tenants, viewTenant), next), nil
}

// GetTenant is GET /v1/tenants/{id}.
func (a *API) GetTenant(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	t, err := a.tenant(r.Context(), c, ps)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, versioned(viewTenant(t), t.Version), nil
}

// tenant finds the tenant that the path names, if the caller may know of it.
func (a *API) tenant(ctx context.Context, c access.Caller, ps httprouter.Params) (*access.Tenant, error) {
	id := ps.ByName("id")
	if c.Role != access.Platform && id != c.CompanyID {
		return nil, ErrNotFound // the same as for one that does not exist
	}
	return a.Tenants.FindTenant(ctx, id)
}

// PatchTenant is PATCH /v1/tenants/{id}: a JSON merge patch.
func (a *API) PatchTenant(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	raw, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	patch, err := readPatch(raw)
	if err != nil {
		return 0, nil, err
	}
	version, err := ifMatch(r)
	if err != nil {
		return 0, nil, err
	}

	// Owners change their own tenant only, and not what the platform grants it.
	id := ps.ByName("id")
	if c.Role != access.Platform {
		if id != c.CompanyID {
			return 0, nil, ErrNotFound
		}
		for _, field := range []string{"limits", "allowNetworks", "suspended"} {
			if _, ok := patch[field]; ok {
				return 0, nil, problem.Field(http.StatusForbidden, field, "is changed by the platform only")
			}
		}
	}

	ctx := context.WithoutCancel(r.Context())
	a.changes.Lock()
	defer a.changes.Unlock()
	t, err := a.Tenants.UpdateTenant(ctx, c, id, version, func(t *access.Tenant) error {
		return applyPatch(t, patch, a.now())
	})
	if err != nil {
		return 0, nil, err
	}
	a.Book.PutTenant(*t)
	return http.StatusOK, versioned(viewTenant(t), t.Version), nil
}

// readPatch reads a merge patch of a tenant and checks the names in it, also those
// set to null. The values are checked when the patch has been merged.
func readPatch(raw []byte) (map[string]any, error) {
	var shape tenantBody
	if err := decodeBytes(raw, &shape); err != nil {
		return nil, err
	}

	var patch map[string]any
	if err := assign(raw, &patch); err != nil {
		return nil, err
	}

	for name := range shape.Settings {
		if _, ok := settings[name]; !ok {
			return nil, unknownSetting(name)
		}
	}
	return patch, nil
}

// applyPatch merges a patch into a tenant.
func applyPatch(t *access.Tenant, patch map[string]any, now time.Time) error {
	before, err := json.Marshal(bodyOf(t))
	if err != nil {
		return fmt.Errorf("tenant %s as it was: %w", t.CompanyID, err)
	}

	var doc any
	if err := json.Unmarshal(before, &doc); err != nil {
		return fmt.Errorf("tenant %s as it was: %w", t.CompanyID, err)
	}

	replaceSettings(doc, patch)
	merged, err := json.Marshal(merge(doc, patch))
	if err != nil {
		return fmt.Errorf("merge into tenant %s: %w", t.CompanyID, err)
	}

	var in tenantBody
	if err := assign(merged, &in); err != nil {
		return err
	}
	return in.apply(t, now)
}

// replaceSettings removes from doc the settings that a patch names, so that the patch
// replaces them as a whole: a merge patch would mix the members of an object with the
// old ones.
func replaceSettings(doc any, patch map[string]any) {
	d, _ := doc.(map[string]any)
	old, _ := d["settings"].(map[string]any)
	patched, _ := patch["settings"].(map[string]any)
	for name := range patched {
		delete(old, name)
	}
}

// apply checks a body and writes it to t. The error names all problems at once.
func (in *tenantBody) apply(t *access.Tenant, now time.Time) error {
	var errs []problem.Error
	bad := func(field, message string) { errs = append(errs, problem.Error{Field: field, Message: message}) }

	if in.CompanyID != t.CompanyID {
		bad("companyId", "cannot be changed")
	}
	if msg := checkName(in.Name); msg != "" {
		bad("name", msg)
	}
	if in.Timezone == "" {
		in.Timezone = DefaultTimezone
	}
	if _, ok := dialect.ZoneNamed(in.Timezone); !ok {
		bad("timezone", "is not a time zone of the IANA database, such as Asia/Singapore")
	}

	errs = append(errs, checkSettings(in.Settings)...)

	var limits access.Limits
	for _, l := range in.Limits.pair(&limits) {
		switch n := *l.inBody; {
		case n == nil:
		case *n < 1 || int64(*n) > l.most:
			bad("limits."+l.name, fmt.Sprintf("must be from 1 to %d; null means the default", l.most))
		default:
			*l.inStore = *n
		}
	}

	if len(in.AllowNetworks) > 100 {
		bad("allowNetworks", "may name at most 100 networks")
	} else {
		for i, s := range in.AllowNetworks {
			if msg := checkNetwork(s); msg != "" {
				bad(fmt.Sprintf("allowNetworks[%d]", i), msg)
			}
		}
	}

	if len(errs) > 0 {
		return &problem.Details{
			Status: http.StatusUnprocessableEntity, Detail: errs[0].Field + ": " + errs[0].Message, Errors: errs,
		}
	}

	t.Name, t.Timezone, t.Settings, t.Limits, t.AllowNetworks = in.Name, in.Timezone, in.Settings, limits, in.AllowNetworks
	switch {
	case !in.Suspended:
		t.SuspendedAt = nil
	case t.SuspendedAt == nil:
		now = now.UTC().Truncate(time.Millisecond)
		t.SuspendedAt = &now
	}
	return nil
}

// The largest values of limits: of those that count things, and of those in bytes.
const (
	maxAnyLimit  = 1_000_000_000
	maxByteLimit = 1 << 50
)

func checkCompanyID(id string) error {
	switch {
	case !access.ValidCompanyID(id):
		return problem.Field(http.StatusUnprocessableEntity, "companyId", "must be 1 to 64 of A-Z, a-z, 0-9 and -")
	case strings.EqualFold(id, access.PlatformID):
		return problem.Field(http.StatusUnprocessableEntity, "companyId", "is taken by the platform itself")
	}
	return nil
}

const maxName = 200

// checkName returns what is wrong with the name of a tenant or key, or "".
func checkName(s string) string {
	if utf8.RuneCountInString(s) > maxName {
		return fmt.Sprintf("is longer than %d characters", maxName)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "holds control characters"
	}
	return ""
}

// checkNetwork returns what is wrong with a network of allowNetworks, or "".
func checkNetwork(s string) string {
	nets, err := delivery.ParseNetworks([]string{s})
	switch {
	case err != nil:
		return err.Error()
	case len(nets) == 0:
		return "is empty"
	}
	return ""
}

func unknownSetting(name string) error {
	return problem.Field(http.StatusUnprocessableEntity, "settings."+name,
		"is not a setting; there are: "+strings.Join(settingNames(), ", "))
}

func settingNames() []string {
	var names []string
	for name, check := range settings {
		if check != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
